"""What can happen to a sensor, and the wrappers that make it happen.

`KINDS` is the table of all that can go wrong; `corrupt` applies one kind to a batch of arrays. `Corruption` does so to
the rows of running environments, episode after episode, and `CorruptObservation` and `CorruptVectorObservation` put it
around an environment. To add a kind is to add its function and its entry to `KINDS`.
"""

from gw_envs.corruption.kinds import KINDS, Draws, Kind, corrupt
from gw_envs.corruption.sensors import (
    Corruption,
    CorruptObservation,
    CorruptVectorObservation,
    Faults,
    other_scenes,
)

__all__ = [
    "KINDS",
    "CorruptObservation",
    "CorruptVectorObservation",
    "Corruption",
    "Draws",
    "Faults",
    "Kind",
    "corrupt",
    "other_scenes",
]
