"""Create untrained agents, or load agents from files without pickles.

Example:
    agent = create_agent(AgentSpec("GWFactory-v0", ("image",)), n_envs=16)
    agent.model.learn(200_000)
    agent.save("runs/mine")
    action = load_agent("runs/mine").act(observation)
"""

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

from gw_agents.acting.agent import Agent, aliases, split_path
from gw_agents.acting.algorithms import ALGORITHMS
from gw_agents.acting.policy_inputs import POLICY_INPUTS
from gw_agents.acting.spaces import check_scene, readable_modalities
from gw_agents.acting.spec import POLICY_SETTINGS, AgentSpec, registered_id
from gw_agents.acting.vec_env import RepresentedVecEnv, make_vec
from gw_agents.checkpoint import CheckpointError, load_into, read_config, read_tensors
from gw_agents.devices import resolve_device
from gw_agents.global_workspace import GlobalWorkspace
from gw_envs.assets import asset_path
from gw_envs.errors import InputError, check_keys
from gw_envs.scenes import find_scene

EXPECTED = {
    "env_id": "environment",
    "modalities": "modalities",
    "policy_input": "encoder",
    "algorithm": "algorithm",
    "actions": "action mode",
    "layout": "layout",
}
"""Fields of an agent that a caller of `load_agent` may demand, with their names in messages."""


def create_agent(
    spec: AgentSpec,
    n_envs: int = 1,
    seed: int = 0,
    device: str = "cpu",
    gw: GlobalWorkspace | None = None,
    **settings: Any,
) -> Agent:
    """Make an untrained agent with its environments, ready for `agent.model.learn(steps)`.

    Args:
        spec: the description of the agent.
        n_envs: number of environments stepped together.
        seed: seed of the policy's weights, of exploration and of the environments.
        device: where the policy and the workspace run: auto, cpu or cuda.
        gw: the workspace; loaded from `spec.weights`, or as shipped for the scene, by default.
        settings: hyperparameters that override those of `ALGORITHMS`.
    """
    algorithm, place = ALGORITHMS[spec.algorithm], resolve_device(device)
    gw = _workspace(spec, device, gw)
    venv = _environments(spec, n_envs, seed)
    spec = _with_actions_of(spec, venv.action_space)
    observed = _observed(spec, venv.observation_space, gw)
    representation = POLICY_INPUTS[spec.policy_input](gw, spec.modalities, spec.attention, observed)
    extractor = representation.extractor()
    if not extractor or set(venv.observation_space.spaces) != set(spec.modalities):
        venv = RepresentedVecEnv(venv, representation)
    settings = {**algorithm.settings, **settings}
    if "n_steps" in settings and "batch_size" in settings:
        settings["batch_size"] = min(settings["batch_size"], settings["n_steps"] * n_envs)
    with _single_precision():
        model = algorithm.load()(
            ("MultiInput" if extractor else "Mlp") + algorithm.policy,
            venv,
            policy_kwargs={**spec.policy_kwargs, **extractor},
            seed=seed,
            device=place,
            **settings,
        )
    return Agent(spec, model, gw, observed)


def _workspace(spec: AgentSpec, device: str, gw: GlobalWorkspace | None) -> GlobalWorkspace | None:
    """Return the workspace that an agent needs; None if it needs none."""
    if not spec.uses_workspace:
        return None
    if gw is None:
        if spec.weights is None and spec.known_scene is None:
            raise InputError(
                f"no weights are shipped for {spec.env_id}: name the folder that python -m"
                " gw_agents.pretrain wrote as weights, or choose the encoder raw"
            )
        gw = GlobalWorkspace.from_pretrained(spec.weights or spec.scene, device)
    check_scene(gw, spec.scene)
    if spec.layout != "fixed" and spec.weights is None:
        warnings.warn(
            f"the weights shipped for {gw.scene_name} were trained on the layout 'fixed', and the"
            f" agent is for the layout {spec.layout!r}: train a workspace on it for good results",
            stacklevel=4,
        )
    return gw


def _environments(spec: AgentSpec, n_envs: int, seed: int) -> Any:
    """Make the environments that an agent is trained in, as a VecEnv with episode statistics."""
    if spec.known_scene is None:
        return make_vec_env(spec.env_id, n_envs, seed)
    layout = {} if spec.layout == "fixed" else {"layout": spec.layout}
    return make_vec(
        spec.env_id, n_envs, seed, modalities=spec.modalities, actions=spec.actions, **layout
    )


def _with_actions_of(spec: AgentSpec, space: gym.Space) -> AgentSpec:
    """Return the spec with the environment's action mode; InputError if the algorithm lacks it."""
    modes = {gym.spaces.Discrete: "discrete", gym.spaces.Box: "continuous"}
    mode: Any = modes.get(type(space))
    possible = ALGORITHMS[spec.algorithm].actions
    if mode not in possible:
        raise InputError(
            f"{spec.env_id} has the action space {space}, and {spec.algorithm} needs"
            f" {' or '.join(possible)} actions"
        )
    return replace(spec, actions=mode)


def _observed(spec: AgentSpec, space: gym.Space, gw: GlobalWorkspace | None) -> gym.spaces.Dict:
    """Return the space of the agent's modalities; InputError if the environment or the workspace
    lacks one."""
    if not isinstance(space, gym.spaces.Dict):
        raise InputError(
            f"the observation of {spec.env_id} is a {type(space).__name__}: wrap the environment"
            " to show a Dict"
        )
    missing = [name for name in spec.modalities if name not in space.spaces]
    if missing:
        raise InputError(
            f"{spec.env_id} shows no {missing[0]}: its observation has {', '.join(space.spaces)}"
        )
    if gw is not None:
        readable_modalities(space, gw, spec.modalities)
    return gym.spaces.Dict({name: space[name] for name in spec.modalities})


@contextmanager
def _single_precision() -> Iterator[None]:
    """Make torch build float32 networks inside the block: Stable-Baselines3 feeds them float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def load_agent(
    path: str | Path,
    env_id: str | None = None,
    weights: str | Path | None = None,
    n_envs: int = 1,
    device: str = "cpu",
    **expected: Any,
) -> Agent:
    """Load the agent in PATH.safetensors and PATH.json; nothing is unpickled.

    Args:
        path: without a suffix, or either of the files; or the name of a shipped agent ("factory",
            "factory_fused"), or of a scene or its id ("GWFactory-v0").
        env_id: the environment it must have been trained in; MODULE:ID first imports the module
            that registers your own one.
        weights: folder of the workspace that it was trained on, if not the one that its file names.
        n_envs: number of environments stepped together, for training it further.
        device: where the policy and the workspace run: auto, cpu or cuda.
        expected: further fields that it must have: modalities, policy_input, algorithm, actions or
            layout.

    Raises:
        CheckpointError: a file is missing, damaged or of another schema version; the agent is not
            what was expected, or the workspace is not the one that it was trained on.
    """
    if Path(path).suffix == ".zip":
        raise CheckpointError(
            f"{path} is a zip file of Stable-Baselines3, which holds pickles, and nothing is"
            " unpickled here: use import_zip, or python -m gw_agents.enjoy --trust"
        )
    check_keys("the agent that is expected", expected, tuple(EXPECTED))
    if env_id is not None:
        env_id = registered_id(env_id)
    folder, name = find_agent(path)
    scene = find_scene(env_id) if env_id else None
    config = read_config(folder, name, "agent", scene.name if scene else env_id)
    where = f"{folder}/{name}.json"
    spec = read_spec(config, where)
    _check_expected(spec, {"env_id": env_id, **expected}, where)
    tensors = read_tensors(folder, name, config)
    if weights is not None:
        spec = replace(spec, weights=str(weights))
    try:
        agent = create_agent(spec, n_envs, device=device, **_small_replay(spec, n_envs))
    except TypeError as error:
        raise CheckpointError(
            f"{where} describes a policy that can't be built ({error})"
        ) from error
    if agent.representation.fingerprint() != config.get("workspace"):
        source = spec.weights or f"shipped for {spec.scene}"
        raise CheckpointError(
            f"{where} was trained on another workspace than the weights {source}: name the right"
            " ones as weights"
        )
    _fill(agent.model.policy, tensors, f"{folder}/{name}.safetensors")
    agent.training = config.get("training") or {}
    return agent


def _check_expected(spec: AgentSpec, expected: Mapping[str, Any], where: str) -> None:
    """Raise CheckpointError unless the spec is as expected; None accepts anything."""
    for name, wanted in expected.items():
        actual = getattr(spec, name)
        same = set(wanted or ()) == set(actual) if name == "modalities" else wanted == actual
        if wanted is not None and not same:
            raise CheckpointError(
                f"{where} was trained with the {EXPECTED[name]} {actual!r}, not {wanted!r}"
            )


def import_zip(path: str | Path, spec: AgentSpec, trust: bool = False) -> Agent:
    """Load an agent from a zip file of Stable-Baselines3, which holds pickles.

    Args:
        path: the file.
        spec: the description of the agent; its `policy_kwargs` are read from the file.
        trust: whether you trust whoever made the file: loading it can run any code.

    Raises:
        InputError: `trust` is false.
        CheckpointError: the file is missing or damaged, or holds an agent of another kind.
    """
    if not trust:
        raise InputError(
            f"{path} is a zip file of Stable-Baselines3, and loading it can run any code: pass"
            " --trust (trust=True) if you trust whoever made it"
        )
    if not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is missing or no whole zip file")
    kind = ALGORITHMS[spec.algorithm].load()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about other versions of the libraries
            stored = kind.load(path, device="cpu")
    except Exception as error:
        raise CheckpointError(
            f"{path} holds no agent that {kind.__name__} can load ({error})"
        ) from error
    shape = {name: value for name, value in stored.policy_kwargs.items() if name in POLICY_SETTINGS}
    agent = create_agent(replace(spec, policy_kwargs=shape), **_small_replay(spec, 1))
    for name in ("observation_space", "action_space"):
        actual, wanted = getattr(stored, name), getattr(agent.model, name)
        if actual != wanted:
            raise CheckpointError(
                f"{path} has the {name.replace('_', ' ')} {actual}, where {wanted} is expected"
            )
    load_into(agent.model.policy, stored.policy.state_dict(), str(path))
    return agent


def read_spec(config: Mapping[str, Any], where: str) -> AgentSpec:
    """Return the spec in an agent's config; CheckpointError if there is no valid one."""
    try:
        return AgentSpec.from_json(config["spec"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"{where} describes no agent that this release knows ({error})"
        ) from error


def find_agent(path: str | Path) -> tuple[Path, str]:
    """Return the folder and the name of an agent; a bare name without a file means a shipped agent.

    Raises CheckpointError naming the shipped ones if there is no such agent.
    """
    folder, name = split_path(path)
    if (folder / f"{name}.json").exists():
        return folder, name
    scene = find_scene(str(path))
    for shipped in (scene.name if scene else None, name if str(path) == name else None):
        with suppress(FileNotFoundError):
            if shipped is not None:
                return asset_path(f"agents/{shipped}.json").parent, shipped
    known = ", ".join(shipped_agents()) or "none"
    raise CheckpointError(
        f"there is no agent {str(path)!r}: name its file, or a shipped agent ({known})"
    )


def shipped_agents() -> tuple[str, ...]:
    """Return the names of the shipped agents, for `load_agent`."""
    try:
        return tuple(sorted(path.stem for path in asset_path("agents").glob("*.json")))
    except FileNotFoundError:
        return ()


def _fill(policy: nn.Module, tensors: Mapping[str, Any], where: str) -> None:
    """Load what `Agent.save` wrote into a policy; CheckpointError if it does not fit."""
    first = aliases(policy)
    known = {key: tensors[name] for key, name in first.items() if name in tensors}
    unknown = {key: tensor for key, tensor in tensors.items() if key not in first}
    load_into(policy, {**known, **unknown}, where)


def _small_replay(spec: AgentSpec, n_envs: int) -> dict[str, Any]:
    """Return settings with a small replay buffer for a single environment, where agents only
    play."""
    replays = "buffer_size" in ALGORITHMS[spec.algorithm].settings
    return {"buffer_size": 1_000} if n_envs == 1 and replays else {}
