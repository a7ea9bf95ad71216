"""How few matched scenes does each loss need? Translation through the workspace.

    python benchmarks/translation.py

The six published models, fusion, and ours are trained on N matched scenes and on the unmatched
latents of all scenes, and tested on held-out scenes: episode beginnings and random rollouts. N
counts scenes of which every modality is known (triplets where there are three). A fifth of them is
held out from training, to choose the setting and the weights to keep. Every model has the same
networks, steps, unmatched data and search: each setting is tried at 700 matched scenes, and the one
with the lowest paired losses of the model on the held-out fifth is kept.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.pairs.translation import TRANSLATION

    main(TRANSLATION, __doc__)
