"""Global Workspace models and agents for the environments of `gw_envs`.

Example:
    gw = GlobalWorkspace.from_pretrained("factory")
    z = gw.encode(observation)
    action = load_agent("factory").act({"language": observation["language"]})
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gw_agents.acting.loading import create_agent, load_agent
    from gw_agents.acting.policy_inputs import GWObservation
    from gw_agents.acting.spec import AgentSpec
    from gw_agents.acting.vec_env import GWVecObservation, make_vec
    from gw_agents.checkpoint import CheckpointError
    from gw_agents.global_workspace import GlobalWorkspace

__all__ = [
    "AgentSpec",
    "CheckpointError",
    "GWObservation",
    "GWVecObservation",
    "GlobalWorkspace",
    "create_agent",
    "load_agent",
    "make_vec",
]

_MODULES = {
    "AgentSpec": "acting.spec",
    "CheckpointError": "checkpoint",
    "GWObservation": "acting.policy_inputs",
    "GWVecObservation": "acting.vec_env",
    "GlobalWorkspace": "global_workspace",
    "create_agent": "acting.loading",
    "load_agent": "acting.loading",
    "make_vec": "acting.vec_env",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that a workspace alone does not need
    Stable-Baselines3."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
