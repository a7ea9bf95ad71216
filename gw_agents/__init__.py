"""Global Workspace models and agents for the environments of `gw_envs`."""

from gw_agents.checkpoint import CheckpointError
from gw_agents.encoder import GlobalWorkspace, GWObservation

__all__ = ["CheckpointError", "GWObservation", "GlobalWorkspace"]
