"""Score agents that act on the workspace: on modalities they never saw in training, and while
sensors fail.

    python benchmarks/control.py

PPO learns each scene's task from one modality (or all three, fused) through one encoder. Each
policy is then scored in the same held-out episodes on every set of modalities that it can read,
without more training. Encoders: `gw`, a workspace trained with the broadcast and contrastive
losses; `gw_even`, the same with the plain mean as fusion; `contrastive`, a workspace of the same
domain modules trained with the contrastive loss alone, whose fusion gives each modality a fixed
weight, tuned on validation scenes; `unimodal`, the latent of the training modality;
`concatenation`, all latents side by side; `raw`, the observation, end to end. With --preset full,
the agent with seed i reads the workspace with seed i. Returns are scaled so that random actions are
0 and the scripted expert is 1. Policies never meet a failing sensor in training.

Agents are trained seed by seed: with --seeds 1, then --seeds 2 and so on into the same folder,
every run ends with the tables of whole seeds.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

    from benchmarks.agents.control import CONTROL
    from benchmarks.harness.benchmark import main

    main(CONTROL, __doc__)
