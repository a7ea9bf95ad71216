"""Global Workspace models and agents for the environments of `gw_envs`."""

from gw_agents.acting.policy_inputs import GWObservation
from gw_agents.checkpoint import CheckpointError
from gw_agents.global_workspace import GlobalWorkspace

__all__ = ["CheckpointError", "GWObservation", "GlobalWorkspace"]
