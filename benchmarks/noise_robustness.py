"""Does attention keep the workspace right when modalities are drowned in noise or sensors fail?

    python benchmarks/noise_robustness.py

Observations come from the running environments (episode beginnings and random rollouts), split by
episode. A classifier of the scene's three-class label learns from clean workspace vectors and is
frozen; then one modality of every sample is corrupted in its latent, o + k C with k ~ N(0, sigma^2)
and C ~ N(0, I) drawn once ("fixed") or for each sample ("random"). Methods:

    constant   the one modality that does best on the validation split, always
    none       equal weights of all modalities
    one_step   key-query attention, the query from a fixed random vector, trained on the task, as
               published
    two_step   the same with a second query from the first pass's workspace vector, as published
    best       the attention that the shipped weights call best, trained without labels to restore
               the clean z while noise in random directions and failing sensors corrupt up to all
               modalities but one
    oracle     equal weights of the uncorrupted modalities, which no method can know

`--preset full` retrains the workspace for every seed and also tests failing sensors: every kind of
failure against its severity; two of three modalities corrupted, and all; attention used on a task,
a kind of failure or a modality that its training left out; and the cost of each method. It adds
these methods:

    none_trained      equal weights, the classifier trained on corrupted workspace vectors
    demi_cycle        no training: trust the modalities that the workspace can reconstruct
    agreement         no training: trust the modalities that fit the others
    concatenation     no workspace: a network of all latents side by side, trained end to end
    cross_attention   no workspace: a query attends to one token of each modality, trained end to
                      end

Every trained method is tried with the same learning rates and sees the same corrupted samples.
Published figures are those of the talk behind the project (three shapes, image + attributes; it
does not state sigma).
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.harness.benchmark import main
    from benchmarks.noise.robustness import NOISE_ROBUSTNESS

    main(NOISE_ROBUSTNESS, __doc__)
