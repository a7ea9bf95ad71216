"""Train domain modules, a workspace and its attention, and save them to a folder of weights.

    python -m gw_agents.pretrain domains --scene simple_shapes
    python -m gw_agents.pretrain workspace --scene simple_shapes
    python -m gw_agents.pretrain attention --scene simple_shapes

    python -m gw_agents.pretrain domains --env examples.own_environment:PictureGrid-v0
    python -m gw_agents.pretrain workspace --env examples.own_environment:PictureGrid-v0
    python -m gw_agents.pretrain attention --env examples.own_environment:PictureGrid-v0

Weights go to runs/weights/NAME, and `GlobalWorkspace.from_pretrained("runs/weights/NAME")` loads
them. Rerun an interrupted command to resume from its last checkpoint; it ends with the same
weights. The functions that train are in `gw_agents.learning`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor

from gw_agents.checkpoint import modules_fingerprint
from gw_agents.command import run_command
from gw_agents.devices import resolve_device
from gw_agents.domains.base import Domain, vague_modalities
from gw_agents.domains.image import ImageDomain
from gw_agents.global_workspace import GlobalWorkspace
from gw_agents.learning.attention import SelectionConfig
from gw_agents.learning.attention_set import AttentionData, encode_scenes, train_attentions
from gw_agents.learning.decoders import REFINING, refine_decoder
from gw_agents.learning.distillation import distil_scene
from gw_agents.learning.domains import batches_from, make_domain, scene_data, train_domain
from gw_agents.learning.latents import (
    encode_rows,
    scene_captions,
    scene_latents,
)
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.recipes import Recipe, Student
from gw_agents.learning.sources import DataSource, Folders, ModalitySource
from gw_agents.learning.workspaces import TrainingPlan, train_workspace
from gw_agents.pretrained import (
    copy_checkpoint,
    load_domain,
    save_attentions,
    save_domain,
    save_workspace,
)
from gw_agents.workspace.losses import PAIRED_LOSSES
from gw_agents.workspace.model import GWConfig, Workspace
from gw_agents.workspace.objective import Latents, preset_called
from gw_envs.assets import asset_path
from gw_envs.errors import InputError, check_whole
from gw_envs.observation import MODALITIES

VALIDATION_SEED = 1_000_003
"""Added to the seed of the episodes of an environment that tell which attention is best."""


@dataclass(frozen=True)
class PretrainDomains(ModalitySource):
    """Train domain modules, each alone on its own modality, and freeze them.

    The image domain of our scenes is trained first and its encoder then distilled into a fast one.
    The trained one stays in the run folder, a folder of weights as others.
    """

    seed: int = 0
    """Seed of weights and batches, and of the episodes of --env."""
    steps: int | None = None
    """Optimizer steps, those of the distillation too; the recipe's by default."""
    patch_widths: tuple[int, int, int] | None = None
    """Widths of the distilled encoder; the recipe's by default."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where to read and write."""

    def run(self) -> None:
        """Train and save one module after the other."""
        self.check(self.folders)
        check_whole("--seed", self.seed)
        if self.steps is not None:
            check_whole("--steps", self.steps, 1)
        for width in self.patch_widths or ():
            check_whole("a width of --patch-widths", width, 1)
        if self.patch_widths is not None and self.env is not None:
            raise InputError("--patch-widths: the images of --env are encoded by convolutions")
        recipes, folder = self.find_recipes(), self.folder(self.folders)
        observations = {} if self.env is None else self.observe(recipes, self.seed)
        for modality, plan in recipes.items():
            self._train(modality, plan, observations.get(modality))
        print(f"written: {folder}")

    def _train(self, modality: str, plan: Recipe, rows: NDArray | None) -> None:
        """Train a module on (N, ...) observations, or on the scene if there are none."""
        folder = self.folder(self.folders)
        config = replace(plan.fit, seed=self.seed, steps=self.steps or plan.fit.steps)
        domain = make_domain(plan, self.seed, resolve_device(self.folders.device))
        data = (
            scene_data(domain, plan, self.name, modality, config)
            if rows is None
            else batches_from(domain, rows, config)
        )
        run_dir = self.folders.runs / f"domain-{folder.name}-{modality}-{self.seed}"
        train_domain(domain, data, config, run_dir, f"{self.name} {modality}")
        about: dict[str, Any] = {"seed": self.seed, "steps": config.steps}
        if plan.student is not None:
            assert isinstance(domain, ImageDomain)
            save_domain(run_dir, modality, domain, self.name, **about)
            domain = self._distil(domain, plan.student)
            about["distilled"] = self.steps or plan.student.fit.steps
        save_domain(folder, modality, domain, self.name, **about)

    def _distil(self, teacher: ImageDomain, plan: Student) -> Domain:
        """Distil the encoder of a scene's image domain."""
        plan = replace(plan, widths=self.patch_widths or plan.widths)
        config = replace(plan.fit, seed=self.seed, steps=self.steps or plan.fit.steps)
        widths = "-".join(map(str, plan.widths))
        run_dir = self.folders.runs / f"student-{self.name}-{widths}-{self.seed}"
        return distil_scene(teacher, plan, self.name, config, run_dir, f"{self.name} student")


@dataclass(frozen=True)
class PretrainWorkspace(ModalitySource):
    """Train a workspace on matched latents of all modalities."""

    losses: str = "broad+cont"
    """A name in `gw_agents.workspace.losses.PRESETS`."""
    width: int = 12
    """Z, numbers in the workspace vector."""
    hidden: int = 128
    """Width of the hidden layers of encoders and decoders."""
    scenes: int = 100_000
    """Scenes to learn from, with --scene."""
    pairs: int | None = None
    """How many of the scenes or samples are matched; all by default."""
    fusion: Literal["even", "precision"] = "precision"
    """Whether each modality has a learned precision for each component of z, or all count alike."""
    steps: int = 20_000
    """Optimizer steps."""
    refine: int | None = None
    """Further steps in which the decoder of language alone learns to say plain captions of a scene
    of ours; 0 for none, and 3 for every 10 of --steps by default."""
    seed: int = 0
    """Seed of weights and batches, and of the episodes of --env."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where to read and write."""

    @property
    def refining(self) -> int:
        """Steps in which the decoder of language learns on."""
        return 3 * self.steps // 10 if self.refine is None else self.refine

    @property
    def total(self) -> int:
        """How many scenes or samples there are."""
        return self.samples if self.scene is None else self.scenes

    def check(self, folders: Folders) -> None:
        """Raise InputError unless the arguments make sense together."""
        super().check(folders)
        losses = preset_called(self.losses)
        for name in ("width", "hidden", "steps"):
            check_whole(f"--{name}", getattr(self, name), 1)
        check_whole("--scenes", self.scenes, 2)
        if self.refine is not None:
            check_whole("--refine", self.refine)
        check_whole("--seed", self.seed)
        if self.pairs is not None:
            least = 1 if PAIRED_LOSSES & losses.keys() else 0
            check_whole("--pairs", self.pairs, least, self.total)

    def run(self) -> None:
        """Train and save."""
        self.check(self.folders)
        folder, recipes = self.folder(self.folders), self.find_recipes()
        if len(recipes) < 2:
            raise InputError(
                f"{self.name} with {', '.join(recipes)} alone: a workspace joins two modalities or"
                " more"
            )
        if self.scene is not None:
            take_shipped(folder, self.scene, recipes)
        domains = {modality: load_domain(folder, modality, self.name)[0] for modality in recipes}
        latents = self._encode(domains)
        widths = {name: domain.latent_width for name, domain in domains.items()}
        config = GWConfig(widths, self.width, self.hidden, fusion=self.fusion)
        plan = self._plan(config, domains)
        pairs = torch.arange(self.total if self.pairs is None else self.pairs)
        run = f"workspace-{folder.name}-{self.losses}-{self.width}-{len(pairs)}-{self.seed}"
        label = f"{self.name} workspace"
        workspace = train_workspace(config, latents, plan, pairs, self.folders.runs / run, label)
        self._refine(workspace, domains, latents, plan, run)
        about = {"seed": self.seed, "pairs": len(pairs), "steps": self.steps}
        if self.scene is not None:
            about["refined"] = self.refining
        save_workspace(folder, workspace, self.name, losses=plan.losses, **about)
        print(f"written: {folder}, for GlobalWorkspace.from_pretrained({str(folder)!r})")

    def _plan(self, config: GWConfig, domains: Mapping[str, Domain]) -> TrainingPlan:
        """How the workspace is trained."""
        vague = vague_modalities(domains)
        inputs = f"{modules_fingerprint(domains)} {self.pairs} of {self.total} {config} {vague}"
        fit = FitConfig(
            self.steps, 256, 2e-3, warmup=0.02, weight_decay=1e-3, seed=self.seed, inputs=inputs
        )
        return TrainingPlan(fit, losses=preset_called(self.losses), vague=vague)

    def _refine(
        self,
        workspace: Workspace,
        domains: Mapping[str, Domain],
        latents: Latents,
        plan: TrainingPlan,
        run: str,
    ) -> None:
        """Teach the decoder of language to say plain captions, with --scene and --refine."""
        if self.scene is None or "language" not in domains or not self.refining:
            return
        captions = scene_captions(self.scene, "train", self.seed, self.total)
        matched = slice(self.total if self.pairs is None else self.pairs)
        refine_decoder(
            workspace,
            "language",
            domains["language"],
            {name: rows[matched] for name, rows in latents.items()},
            torch.from_numpy(captions[matched]).to(workspace.log_scale.device),
            replace(REFINING, steps=self.refining, seed=self.seed, inputs=plan.fit.inputs),
            self.folders.runs / f"{run}-refined",
            f"{self.name} captions",
        )

    def _encode(self, domains: Mapping[str, Domain]) -> dict[str, Tensor]:
        """Encode the scenes or samples to learn from: {modality: (N, L_d)}."""
        device = resolve_device(self.folders.device)
        for domain in domains.values():
            domain.to(device)
        if self.scene is None:
            return encode_rows(domains, self.observe(domains, self.seed))
        cache = self.folders.runs / "latents"
        return scene_latents(domains, self.scene, "train", self.seed, self.scenes, cache)


@dataclass(frozen=True)
class PretrainAttention(DataSource):
    """Train attention modules on the frozen workspace, under latent noise and failing sensors.

    Environments of others have no classes and no failing sensors: they get the modules that need
    neither, trained under latent noise.
    """

    scenes: int = 10_000
    """Scenes to learn from, with --scene; half as many validation scenes tell which module is best.
    The same goes for --samples."""
    seed: int = 0
    """Seed of the classifier, the weights, the batches and the noise, and of --env's episodes."""
    selection: tyro.conf.OmitArgPrefixes[SelectionConfig] = field(
        default_factory=lambda: SelectionConfig(steps=2500)
    )
    """How the classifier and the attention are trained."""
    folders: tyro.conf.OmitArgPrefixes[Folders] = field(default_factory=Folders)
    """Where to read and write."""

    def run(self) -> None:
        """Train all modules, pick the best on validation scenes, save."""
        self.check(self.folders)
        self.selection.check()
        check_whole("--scenes", self.scenes, 4)
        check_whole("--samples", self.samples, 4)
        check_whole("--seed", self.seed)
        folder = self.folder(self.folders)
        if self.scene is not None and not folder.exists():
            take_shipped(folder, self.scene, ("workspace", *MODALITIES))
        gw = GlobalWorkspace.from_pretrained(folder, self.folders.device, attention=False)
        found = train_attentions(
            gw.workspace,
            self._encode(gw, "train"),
            self._encode(gw, "validation"),
            seed=self.seed,
            config=self.selection,
            label=f"{self.name} attention",
        )
        form = ".2%" if found.is_accuracy else ".4f"
        for name, scores in found.scores.items():
            told = ", ".join(f"{what} {value:{form}}" for what, value in scores.items())
            print(f"validation {'accuracy' if found.is_accuracy else 'error'} of {name}: {told}")
        about: dict[str, Any] = {"seed": self.seed, "steps": self.selection.steps}
        about["validation_accuracy" if found.is_accuracy else "validation_error"] = found.scores
        save_attentions(folder, found.modules, found.best, self.name, **about)
        print(f"written: {folder}; the best attention is {found.best}")

    def _encode(self, gw: GlobalWorkspace, split: str) -> AttentionData:
        """Encode scenes of a split, or samples of --env."""
        if self.scene is not None:
            scenes = self.scenes if split == "train" else self.scenes // 2
            return encode_scenes(gw.domain_modules, self.scene, split, self.seed, scenes)
        count, seed = self.samples, self.seed
        if split == "validation":
            count, seed = self.samples // 2, self.seed + VALIDATION_SEED
        observations = self.observe(gw.modalities, seed, count)
        return AttentionData(encode_rows(gw.domain_modules, observations))


def take_shipped(folder: Path, scene: str, names: Iterable[str]) -> None:
    """Copy the shipped checkpoints that a folder lacks, and print which."""
    missing = [name for name in names if not (folder / f"{name}.json").exists()]
    for name in missing:
        copy_checkpoint(asset_path(f"weights/{scene}"), folder, name)
    if missing:
        print(f"{folder} has no {', '.join(missing)}: copied the shipped weights")


def main() -> None:
    """Read the command line and train."""
    commands: dict[str, Any] = {
        "domains": PretrainDomains,
        "workspace": PretrainWorkspace,
        "attention": PretrainAttention,
    }
    command = tyro.extras.subcommand_cli_from_dict(
        commands, prog="python -m gw_agents.pretrain", description=__doc__
    )
    run_command(command.run)


if __name__ == "__main__":
    main()
