"""Is what the workspace learns recognized across modalities? A linear probe and zero-shot classes.

    python benchmarks/classification.py

The models of `translation.py`, at several numbers of matched scenes. A probe (scikit-learn's
logistic regression, its regularization chosen by cross-validation) reads z of one modality and is
tested on z of each; zero-shot, z is given the class whose mean z of the other modality is nearest
by angle. Beside them: the same probe on unimodal latents, which can only be tested where it was
trained, and chance (the most frequent class). Expected from the talk: models that broadcast beside
being aligned (`tr+cont`, all four losses, fusion) do better than alignment alone (`cont`,
CLIP-like); `tr` and `tr+cy` are not aligned and need not transfer.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.pairs.classification import CLASSIFICATION

    main(CLASSIFICATION, __doc__)
