"""A frozen text embedding in place of the language module: captions as sentences, whatever the words.

    pip install ".[text]"
    python examples/text_embedding.py --scene simple_shapes

WordLlama's wheel holds 256 numbers for each word piece, and a sentence is their mean. A domain module of our own reads
that under the key `language`, the workspace is trained with it, and probes say what is known beside our own module.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gw_agents import GlobalWorkspace
from gw_agents.command import parse_arguments, run_command
from gw_agents.domains.base import Domain
from gw_agents.domains.vector import VectorDomain
from gw_agents.learning.domains import train_domain
from gw_agents.learning.latents import encode_rows
from gw_agents.learning.loop import FitConfig, seed_torch
from gw_agents.learning.probes import attribute_errors, mlp_probe
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.pretrained import load_domain
from gw_agents.workspace.model import GWConfig
from gw_agents.workspace.objective import preset_called
from gw_envs.assets import asset_path
from gw_envs.dataset import Sampler
from gw_envs.language import captions_true, sentences

Embedding = Callable[[list[str]], NDArray[np.float32]]
"""B sentences -> (B, E)."""


class TextDomain(VectorDomain):
    """(B,) sentences <-> (B, latent_width) latents, by way of a frozen embedding; decodes (B, E) embeddings."""

    kind = "text"
    accepts = np.str_

    def __init__(self, embed: Embedding, width: int, latent_width: int = 32) -> None:
        """Build the encoder and the decoder around the embedding of `width` numbers E, which is never trained."""
        super().__init__(width, latent_width, hidden=256)
        self.embed = embed

    @property
    def shape(self) -> tuple[int, ...]:
        """One sentence, which is no array."""
        return ()

    def check(self, array: NDArray, name: str) -> Tensor:
        """(B,) sentences -> (B, E) embeddings, which is what `encode` reads; ValueError on anything else."""
        if not np.issubdtype(array.dtype, np.str_) or array.ndim != 1:
            raise ValueError(
                f"{name} is {array.dtype} of shape {array.shape}: give a sentence, or a list of sentences"
            )
        return torch.from_numpy(self.embed(array.tolist()))


@dataclass(frozen=True)
class Arguments:
    """Put a frozen text embedding in place of the language module, and probe what it knows."""

    scene: Literal["simple_shapes", "factory"] = "simple_shapes"
    """Which scene."""
    scenes: int = 20_000
    """Scenes to learn from."""
    steps: int = 2_000
    """Optimiser steps of the domain module, of the workspace and of each probe."""
    seed: int = 0
    """Seed of everything."""


def wordllama() -> Embedding:
    """The embedding that WordLlama's wheel brings, 256 numbers a sentence; raises ImportError without it."""
    import wordllama as package

    # It looks for its own tokenizer in a folder of another name, and would download it: so say where it is.
    model = package.WordLlama.load(cache_dir=Path(package.__file__).parent, disable_download=True)
    return lambda texts: np.asarray(model.embed(texts, norm=True), np.float32)


def train_text(embed: Embedding, said: list[str], steps: int, seed: int) -> TextDomain:
    """A text domain trained on sentences alone, frozen."""
    seed_torch(seed)
    domain = TextDomain(embed, embed(said[:1]).shape[1])
    train_domain(
        domain, np.array(said), FitConfig(steps, 256, 2e-3, seed=seed), label="text domain"
    )
    return domain


def observe(
    scene: str, split: str, count: int, seed: int
) -> tuple[Any, dict[str, NDArray], list[str]]:
    """`count` scenes of a split, what is observed of them, and what is said of them."""
    sampler = Sampler(scene, split, seed)
    states = sampler.states(0, count)
    return states, sampler.batch(0, count), sentences(states)


def workspace_of(
    scene: str, domains: Mapping[str, Domain], latents: Mapping[str, Tensor], steps: int, seed: int
) -> GlobalWorkspace:
    """A workspace on the latents of matched scenes, with its domain modules."""
    config = GWConfig({name: rows.shape[1] for name, rows in latents.items()})
    fit = FitConfig(steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3, seed=seed)
    plan = TrainingPlan(fit, losses=preset_called("broad+cont"))
    workspace = train_workspace(config, latents, plan, label="workspace")
    return GlobalWorkspace(scene, domains, workspace)


def run(arguments: Arguments, embed: Embedding) -> dict[str, dict[str, float]]:
    """Train, print and return the probes' errors on held-out scenes: {what is probed: {attribute: error}}."""
    scene, steps, seed = arguments.scene, arguments.steps, arguments.seed
    _, shown, said = observe(scene, "train", arguments.scenes, seed)
    states, unseen, unseen_said = observe(scene, "test", 2_000, seed)
    ours = {name: load_domain(asset_path(f"weights/{scene}"), name, scene)[0] for name in shown}
    text = train_text(embed, said, steps, seed)
    both = {"ours": (ours, shown["language"], unseen["language"])}
    both["text"] = ({**ours, "language": text}, np.array(said), np.array(unseen_said))
    known = torch.from_numpy(shown["attributes"])
    errors = {}
    latents = encode_rows(ours, shown)
    for name, (domains, captions, unseen_captions) in both.items():
        rows = {
            **latents,
            "language": domains["language"].encode(domains["language"].check(captions, "language")),
        }
        gw = workspace_of(scene, domains, rows, steps, seed)
        held_out = gw.latents({"language": unseen_captions})["language"]
        for what, fitted, judged in (
            ("latent", rows["language"], held_out),
            (
                "workspace",
                gw.workspace.enter("language", rows["language"]),
                gw.encode({"language": unseen_captions}),
            ),
        ):
            probe = mlp_probe(scene, fitted, known, seed, steps)
            errors[f"{name} {what}"] = attribute_errors(
                scene, probe(torch.from_numpy(judged)), unseen["attributes"]
            )
    print(f"{'':<16}" + "".join(f"{attribute:>12}" for attribute in errors["ours latent"]))
    for what, values in errors.items():
        print(f"{what:<16}" + "".join(f"{value:>12.3g}" for value in values.values()))
    # The last workspace is the one with sentences: what it would say of a picture is the nearest of known sentences.
    guessed = gw.translate({"image": unseen["image"]}, "image", "language")
    nearest = (torch.from_numpy(guessed) @ torch.from_numpy(embed(said)).T).argmax(1).tolist()
    truth = captions_true([said[row] for row in nearest], states)
    chance = captions_true([said[row] for row in reversed(nearest)], states)
    print(f"of an unseen picture: {said[nearest[0]]!r}")
    print(
        f"{truth.mean():.0%} of what is said of {len(nearest):,} is true, and {chance.mean():.0%} of other pictures"
    )
    return errors


def main() -> None:
    """Read the command line; without WordLlama, say so."""
    arguments = parse_arguments(Arguments, description=__doc__)
    try:
        embed = wordllama()
    except ImportError:
        print('skipped, for WordLlama is not installed: pip install ".[text]"')
        return
    run(arguments, embed)


if __name__ == "__main__":
    run_command(main)
