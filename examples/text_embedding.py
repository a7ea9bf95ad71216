"""Use a frozen text embedding in place of the language module, so that captions can use any words.

    pip install ".[text]"
    python examples/text_embedding.py --scene simple_shapes

WordLlama's wheel holds a vector of 256 numbers for each word piece; the vector of a sentence is
their mean. A domain module of our own reads that vector under the key `language`. The example
trains a workspace with it, and prints what probes read from it and from the shipped module.
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
from gw_envs.errors import InputError
from gw_envs.language import captions_true, sentences

Embedding = Callable[[list[str]], NDArray[np.float32]]
"""A function of B sentences that returns (B, E) vectors."""


class TextDomain(VectorDomain):
    """(B,) sentences <-> (B, latent_width) latents, through a frozen embedding.

    Decodes latents into (B, E) embeddings, not into sentences.
    """

    kind = "text"
    accepts = np.str_

    def __init__(self, embed: Embedding, width: int, latent_width: int = 32) -> None:
        """Build the encoder and the decoder around an embedding of `width` numbers E."""
        super().__init__(width, latent_width, hidden=256)
        self.embed = embed

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sentence: (), a scalar of type str."""
        return ()

    def check(self, array: NDArray, name: str) -> Tensor:
        """Return the (B, E) embeddings of (B,) sentences; InputError on anything else."""
        if not np.issubdtype(array.dtype, np.str_) or array.ndim != 1:
            raise InputError(
                f"{name} is {array.dtype} of shape {array.shape}: give a sentence, or a list of"
                " sentences"
            )
        return torch.from_numpy(self.embed(array.tolist()))


@dataclass(frozen=True)
class Arguments:
    """Train a workspace on a frozen text embedding, and probe it."""

    scene: Literal["simple_shapes", "factory"] = "simple_shapes"
    """Scene to caption."""
    scenes: int = 20_000
    """Number of training scenes."""
    steps: int = 2_000
    """Optimizer steps of the domain module, of the workspace and of each probe."""
    seed: int = 0
    """Seed of everything."""


def wordllama() -> Embedding:
    """Return WordLlama's embedding, 256 numbers a sentence; raises ImportError without it."""
    import wordllama as package

    # By default WordLlama looks for its tokenizer in the wrong folder, and then downloads it.
    model = package.WordLlama.load(cache_dir=Path(package.__file__).parent, disable_download=True)
    return lambda texts: np.asarray(model.embed(texts, norm=True), np.float32)


def train_text(embed: Embedding, captions: list[str], steps: int, seed: int) -> TextDomain:
    """Train a text domain on sentences alone, and freeze it."""
    seed_torch(seed)
    domain = TextDomain(embed, embed(captions[:1]).shape[1])
    fit = FitConfig(steps, 256, 2e-3, seed=seed)
    train_domain(domain, np.array(captions), fit, label="text domain")
    return domain


def observe(
    scene: str, split: str, count: int, seed: int
) -> tuple[Any, dict[str, NDArray], list[str]]:
    """Return `count` scenes of a split: their states, observations and captions."""
    sampler = Sampler(scene, split, seed)
    states = sampler.states(0, count)
    return states, sampler.batch(0, count), sentences(states)


def workspace_of(
    scene: str, domains: Mapping[str, Domain], latents: Mapping[str, Tensor], steps: int, seed: int
) -> GlobalWorkspace:
    """Train a workspace on the latents of matched scenes, and join it with its domain modules."""
    config = GWConfig({name: rows.shape[1] for name, rows in latents.items()})
    fit = FitConfig(steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3, seed=seed)
    plan = TrainingPlan(fit, losses=preset_called("broad+cont"))
    workspace = train_workspace(config, latents, plan, label="workspace")
    return GlobalWorkspace(scene, domains, workspace)


def run(arguments: Arguments, embed: Embedding) -> dict[str, dict[str, float]]:
    """Train both workspaces, and print and return the errors of probes on held-out scenes.

    Returns {name of the module and of the probed vector: {attribute: error}}.
    """
    scene, steps, seed = arguments.scene, arguments.steps, arguments.seed
    _, observations, captions = observe(scene, "train", arguments.scenes, seed)
    states, held_out, held_out_captions = observe(scene, "test", 2_000, seed)
    folder = asset_path(f"weights/{scene}")
    ours = {name: load_domain(folder, name, scene)[0] for name in observations}
    text = train_text(embed, captions, steps, seed)
    modules: dict[str, tuple[Domain, NDArray, NDArray]] = {
        "ours": (ours["language"], observations["language"], held_out["language"]),
        "text": (text, np.array(captions), np.array(held_out_captions)),
    }
    latents = encode_rows(ours, observations)
    attributes = torch.from_numpy(observations["attributes"])
    errors, workspaces = {}, {}
    for name, (module, language, held_out_language) in modules.items():
        rows = {**latents, "language": module.encode(module.check(language, "language"))}
        gw = workspace_of(scene, {**ours, "language": module}, rows, steps, seed)
        workspaces[name] = gw
        z = gw.workspace.enter("language", rows["language"])
        unseen = {"language": held_out_language}
        for vector, fitted, judged in (
            ("latent", rows["language"], gw.latents(unseen)["language"]),
            ("workspace", z, gw.encode(unseen)),
        ):
            probe = mlp_probe(scene, fitted, attributes, seed, steps)
            predicted = probe(torch.from_numpy(judged))
            errors[f"{name} {vector}"] = attribute_errors(scene, predicted, held_out["attributes"])
    print_errors(errors)
    print_captions(workspaces["text"], embed, captions, held_out["image"], states)
    return errors


def print_errors(errors: Mapping[str, Mapping[str, float]]) -> None:
    """Print a table of probe errors: one row for each probed vector, one column an attribute."""
    print(f"{'':<16}" + "".join(f"{attribute:>12}" for attribute in errors["ours latent"]))
    for name, row in errors.items():
        print(f"{name:<16}" + "".join(f"{error:>12.3g}" for error in row.values()))


def print_captions(
    gw: GlobalWorkspace, embed: Embedding, captions: list[str], images: NDArray, states: Any
) -> None:
    """Caption held-out images with the nearest training captions, and print how many are true."""
    predicted = torch.from_numpy(gw.translate({"image": images}, "image", "language"))
    nearest = (predicted @ torch.from_numpy(embed(captions)).T).argmax(1).tolist()
    chosen = [captions[row] for row in nearest]
    truth, chance = captions_true(chosen, states), captions_true(chosen[::-1], states)
    print(f"caption of an unseen picture: {chosen[0]!r}")
    print(
        f"{truth.mean():.0%} of the claims in {len(chosen):,} such captions are true; if the"
        f" captions are paired with other pictures, {chance.mean():.0%} are"
    )


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
