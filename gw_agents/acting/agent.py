"""Agents: a Stable-Baselines3 policy, what it is given of observations, and both on disk without pickles.

agent = create_agent(AgentSpec("GWFactory-v0", ("image",)), n_envs=16)
agent.model.learn(200_000)
agent.save("runs/mine")
action = load_agent("runs/mine").act(observation)
"""

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from numpy.typing import NDArray
from safetensors import SafetensorError
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecMonitor
from torch import nn

from gw_agents.acting.policy_inputs import Representation
from gw_agents.acting.spec import ALGORITHMS, ENCODERS, POLICY_SETTINGS, AgentSpec, scene_of
from gw_agents.acting.vec_env import RepresentedVecEnv, make_vec
from gw_agents.checkpoint import (
    CheckpointError,
    load_into,
    read_config,
    read_tensors,
    save_checkpoint,
)
from gw_agents.global_workspace import GlobalWorkspace
from gw_envs.assets import asset_path
from gw_envs.observation import check_modalities


class Agent:
    """A policy and what it is given: observations in, actions out."""

    def __init__(
        self,
        spec: AgentSpec,
        model: BaseAlgorithm,
        gw: GlobalWorkspace | None,
        shown: gym.spaces.Dict,
    ) -> None:
        """Put together what `create_agent` made.

        Args:
            spec: what the agent is.
            model: the algorithm of Stable-Baselines3 with its policy and its VecEnv.
            gw: the workspace, where the encoder reads one.
            shown: the observation space it was made for.
        """
        self.spec, self.model, self.gw, self.shown = spec, model, gw, shown
        self.training: dict[str, Any] = {}
        """What is known of its training, as JSON; kept in the file."""
        self.representation = self.represent()

    def represent(self, modalities: Sequence[str] | None = None, **changes: Any) -> Representation:
        """What the policy is given where it observes other modalities than in training, or with another `attention`.

        Raises:
            ValueError: the policy can't read that.
        """
        spec = replace(self.spec, **changes)
        asked = spec.modalities if modalities is None else check_modalities(modalities)
        made = ENCODERS[spec.encoder].represent(spec, self.gw, self.shown, asked)
        wanted = self.model.observation_space
        if isinstance(wanted, gym.spaces.Box) and made.space.shape != wanted.shape:
            raise ValueError(
                f"the encoder {spec.encoder} gives {made.space.shape} numbers from {', '.join(asked)}, and the policy,"
                f" trained on {', '.join(spec.modalities)}, reads {wanted.shape}"
            )
        return made

    def act(self, observation: Mapping[str, Any], deterministic: bool = True) -> NDArray:
        """One observation, or a batch, as the environment gives it -> the action, or one for each."""
        return self.model.predict(self.representation(observation), deterministic=deterministic)[0]

    def save(self, path: str | Path) -> None:
        """Write PATH.safetensors and PATH.json; OSError, and whatever was there before intact, if that fails."""
        folder, name = split_path(path)
        first = aliases(self.model.policy)
        state = self.model.policy.state_dict()
        about = {
            "kind": "agent",
            "scene": self.spec.scene,
            "spec": asdict(self.spec),
            "training": self.training,
        }
        tensors = {key: state[key] for key in dict.fromkeys(first.values())}
        try:
            save_checkpoint(
                folder, name, tensors, {**about, "workspace": self.representation.fingerprint()}
            )
        except (OSError, SafetensorError) as error:
            raise OSError(f"the agent could not be written to {folder}/{name} ({error})") from error


def create_agent(
    spec: AgentSpec,
    n_envs: int = 1,
    seed: int = 0,
    device: str = "cpu",
    gw: GlobalWorkspace | None = None,
    **settings: Any,
) -> Agent:
    """An untrained agent with its environments, ready for `agent.model.learn(steps)`.

    Args:
        spec: what it is.
        n_envs: environments side by side.
        seed: of the policy's weights, of exploration and of the environments.
        device: of the policy and the workspace.
        gw: the workspace; loaded from `spec.weights`, or as shipped for the scene, by default.
        settings: hyperparameters that override those of `ALGORITHMS`.
    """
    algorithm, encoder = ALGORITHMS[spec.algorithm], ENCODERS[spec.encoder]
    if not encoder.reads_weights:
        gw = None
    elif gw is None:
        gw = GlobalWorkspace.from_pretrained(spec.weights or spec.scene, device)
    if gw is not None and gw.scene_name != spec.scene:
        raise ValueError(
            f"the workspace knows the scene {gw.scene_name!r}, and {spec.env_id} shows {spec.scene!r}"
        )
    arguments: dict[str, Any] = {} if spec.layout == "fixed" else {"layout": spec.layout}
    base = make_vec(
        spec.env_id, n_envs, seed, modalities=spec.modalities, actions=spec.actions, **arguments
    )
    shown = base.observation_space
    assert isinstance(shown, gym.spaces.Dict)
    representation = encoder.represent(spec, gw, shown, spec.modalities)
    venv: Any = VecMonitor(base)
    policy = "MultiInput" if encoder.extractor else "Mlp"
    policy_kwargs = {**spec.policy_kwargs}
    if encoder.extractor:
        policy_kwargs |= encoder.extractor(spec, gw)
    else:
        venv = RepresentedVecEnv(venv, representation)
    chosen = {**algorithm.settings, **settings}
    if "n_steps" in chosen and "batch_size" in chosen:
        chosen["batch_size"] = min(chosen["batch_size"], chosen["n_steps"] * n_envs)
    model = algorithm.load()(
        policy + algorithm.policy,
        venv,
        policy_kwargs=policy_kwargs,
        seed=seed,
        device=device,
        **chosen,
    )
    return Agent(spec, model, gw, shown)


def load_agent(
    path: str | Path,
    env_id: str | None = None,
    encoder: str | None = None,
    actions: str | None = None,
    weights: str | Path | None = None,
    n_envs: int = 1,
    device: str = "cpu",
) -> Agent:
    """The agent in PATH.safetensors and PATH.json; nothing is unpickled.

    Args:
        path: without a suffix, or either of the files; or the name of an agent in `assets/agents`.
        env_id: what it must have been trained for; anything by default. So too `encoder` and `actions`.
        weights: where the workspace is that it was trained on, if not where its file says.
        n_envs: environments side by side, for training it further.
        device: of the policy and the workspace.

    Raises:
        CheckpointError: a file is missing, truncated or of another schema version, or the agent is not what was asked
            for, or the workspace is not the one it was trained on.
    """
    if Path(path).suffix == ".zip":
        raise CheckpointError(
            f"{path} is a zip file of Stable-Baselines3, which holds pickles, and nothing is unpickled here: use"
            " import_zip, or python -m gw_agents.enjoy --trust"
        )
    folder, name = find_agent(path)
    config = read_config(folder, name, "agent", scene_of(env_id) if env_id else None)
    where = f"{folder}/{name}.json"
    spec = read_spec(config, where)
    for what, asked, found in (
        ("environment", env_id, spec.env_id),
        ("encoder", encoder, spec.encoder),
        ("action mode", actions, spec.actions),
    ):
        if asked is not None and asked != found:
            raise CheckpointError(f"{where} was trained with the {what} {found!r}, not {asked!r}")
    tensors = read_tensors(folder, name, config)
    spec = spec if weights is None else replace(spec, weights=str(weights))
    try:
        agent = create_agent(spec, n_envs, device=device, **_small_memory(spec, n_envs))
    except TypeError as error:
        raise CheckpointError(
            f"{where} describes a policy that can't be built ({error})"
        ) from error
    if agent.representation.fingerprint() != config.get("workspace"):
        source = spec.weights or f"shipped for {spec.scene}"
        raise CheckpointError(
            f"{where} was trained on another workspace than the weights {source}: name the right ones as weights"
        )
    _fill(agent.model.policy, tensors, f"{folder}/{name}.safetensors")
    agent.training = config.get("training") or {}
    return agent


def import_zip(path: str | Path, spec: AgentSpec, trust: bool = False) -> Agent:
    """An agent from Stable-Baselines3's own zip file, which holds pickles.

    Args:
        path: the file.
        spec: what the agent is; its `policy_kwargs` are read from the file.
        trust: that whoever made the file is trusted: loading it can run any code.

    Raises:
        ValueError: `trust` is not given.
        CheckpointError: the file is missing or damaged, or holds an agent of another kind.
    """
    if not trust:
        raise ValueError(
            f"{path} is a zip file of Stable-Baselines3, and loading it can run any code: pass --trust (trust=True) if"
            " you trust whoever made it"
        )
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is missing or no whole zip file")
    kind = ALGORITHMS[spec.algorithm].load()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions that differ
            theirs = kind.load(path, device="cpu")
    except Exception as error:
        raise CheckpointError(
            f"{path} holds no agent that {kind.__name__} can load ({error})"
        ) from error
    shape = {name: value for name, value in theirs.policy_kwargs.items() if name in POLICY_SETTINGS}
    agent = create_agent(replace(spec, policy_kwargs=shape), **_small_memory(spec, 1))
    for what in ("observation_space", "action_space"):
        found, wanted = getattr(theirs, what), getattr(agent.model, what)
        if found != wanted:
            raise CheckpointError(
                f"{path} has the {what.replace('_', ' ')} {found}, where {wanted} is asked for"
            )
    load_into(agent.model.policy, theirs.policy.state_dict(), str(path))
    return agent


def read_spec(config: Mapping[str, Any], where: str) -> AgentSpec:
    """The spec in an agent's config; CheckpointError if there is none that makes sense."""
    try:
        return AgentSpec(**config["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{where} describes no agent that this release knows ({error})"
        ) from error


def split_path(path: str | Path) -> tuple[Path, str]:
    """An agent's path, with or without one of its suffixes -> its folder and its name."""
    whole = Path(path)
    return whole.parent, whole.stem if whole.suffix in (".json", ".safetensors") else whole.name


def find_agent(path: str | Path) -> tuple[Path, str]:
    """The folder and the name of an agent; a bare name that is not here is that of a shipped one.

    Raises CheckpointError naming the shipped ones if there is no such agent.
    """
    folder, name = split_path(path)
    if (folder / f"{name}.json").exists():
        return folder, name
    if str(path) == name:
        with suppress(FileNotFoundError):
            return asset_path(f"agents/{name}.json").parent, name
    known = ", ".join(shipped_agents()) or "none"
    raise CheckpointError(
        f"there is no agent {str(path)!r}: name its file, or a shipped agent ({known})"
    )


def shipped_agents() -> tuple[str, ...]:
    """The names of the agents that are shipped, for `load_agent`."""
    try:
        return tuple(sorted(path.stem for path in asset_path("agents").glob("*.json")))
    except FileNotFoundError:
        return ()


def aliases(module: nn.Module) -> dict[str, str]:
    """Every key of a module's state -> the first key of the same tensor: networks that are shared have several."""
    first: dict[tuple[int, int], str] = {}
    return {
        key: first.setdefault((tensor.data_ptr(), tensor.numel()), key) if tensor.numel() else key
        for key, tensor in module.state_dict().items()
    }


def _fill(policy: nn.Module, tensors: Mapping[str, Any], where: str) -> None:
    """Load what `Agent.save` wrote into a policy; CheckpointError if it does not fit."""
    first = aliases(policy)
    missing = {key: tensors[name] for key, name in first.items() if name in tensors}
    unknown = {key: tensor for key, tensor in tensors.items() if key not in first}
    load_into(policy, {**missing, **unknown}, where)


def _small_memory(spec: AgentSpec, n_envs: int) -> dict[str, Any]:
    """Settings that spare an agent which only plays the replay buffer."""
    return (
        {"buffer_size": 1_000}
        if n_envs == 1 and "buffer_size" in ALGORITHMS[spec.algorithm].settings
        else {}
    )
