"""Do classes learned from one modality carry over to another? A linear probe, and zero-shot.

    python benchmarks/classification.py

Compares the models of `translation.py` at several numbers of matched scenes. A probe
(scikit-learn's logistic regression, regularized by cross-validation) is fitted on z of one modality
and tested on z of each. Zero-shot names the class whose mean z of the other modality is nearest by
angle. There are two baselines: the same probe on unimodal latents, which can only be tested on its
own modality, and chance (the most frequent class). The talk leads us to expect that models that
align and broadcast (`tr+cont`, all four losses, fusion) do better than alignment alone (`cont`,
CLIP-like); `tr` and `tr+cy` are not aligned and need not transfer.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.pairs.classification import CLASSIFICATION

    main(CLASSIFICATION, __doc__)
