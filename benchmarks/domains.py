"""Report cards of the domain modules: what each latent knows, and how well it is decoded.

    python benchmarks/domains.py --scene simple_shapes

Probes are fitted on 100,000 scenes of the train split and tested on 4,000 of the test split. A seed
redraws the probe's weights and its scenes. The command also draws reconstructed, sampled and
interpolated images.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.latents.report import DOMAINS

    main(DOMAINS, __doc__)
