"""How true and how precise are translations through the shipped workspaces?

    python benchmarks/captions.py

On held-out scenes: which claims of captions made from images, attributes, captions and all senses
are true, and of how many other scenes they are true as well; whether images made from captions show
what the captions say; and how exactly attributes are read from images, ours and matplotlib's. It
takes two minutes for both scenes, and trains nothing. A seed redraws the scenes.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.shipped.captions import CAPTIONS

    main(CAPTIONS, __doc__)
