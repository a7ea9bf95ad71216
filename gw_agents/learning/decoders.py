"""Teach the decoder of a vague modality to make itself understood.

The workspace learns to predict the latents of captions. Near the border of two colors, the average
of the latents of "red" and of "orange" captions may be decoded as neither. So once the workspace is
trained and frozen, the decoder of language alone learns on: its latents must let the domain module
say the plain caption of the scene, and stay close to the captions' latents.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gw_agents.domains.base import Domain
from gw_agents.learning.loop import FitConfig, fit
from gw_agents.workspace.losses import squared_error
from gw_agents.workspace.model import Workspace
from gw_agents.workspace.objective import random_weights

REFINING = FitConfig(6000, 256, 1e-3, warmup=0.02)
"""How a decoder is refined by default."""


def refine_decoder(
    workspace: Workspace,
    modality: str,
    domain: Domain,
    latents: Mapping[str, Tensor],
    targets: Tensor,
    config: FitConfig = REFINING,
    run_dir: Path | None = None,
    label: str | None = None,
) -> None:
    """Train the decoder of one modality on fused workspace vectors, in place; nothing else changes.

    Args:
        workspace: frozen.
        modality: whose decoder is refined.
        domain: its domain module, which defines `decoding_loss`.
        latents: {modality: (N, L_d)} of matched scenes.
        targets: (N, ...) observations of the modality to be decoded, such as plain captions.
        config: how to train; every batch fuses the modalities with random weights.
        run_dir: folder of checkpoints and logs; None writes nothing.
        label: text of the progress bar; None shows no bar.
    """
    decoder = workspace.decoders[modality]
    with torch.no_grad():
        codes = workspace.encode(latents)

    def loss(step: int, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = torch.randint(len(targets), (config.batch_size,), device=targets.device)
        weights = random_weights(len(rows), len(codes), leave_out=True).to(targets.device)
        z = workspace.fuse({name: code[rows] for name, code in codes.items()}, weights)
        decoded = decoder(z)
        terms = {
            "decoding": domain.decoding_loss(decoded, targets[rows]),
            "squared_error": squared_error(decoded, latents[modality][rows]),
        }
        return terms["decoding"] + terms["squared_error"], terms

    decoder.requires_grad_(True)
    inputs = f"{config.inputs} refined {modality}"
    fit(decoder, loss, replace(config, inputs=inputs), run_dir, label, freeze=True)
