"""Ways in which sensors fail, and the wrappers that make them fail.

`KINDS` is the table of all failures; `corrupt` applies one to a batch of arrays. `Corruption`
applies them to the rows of running environments, episode after episode; `CorruptObservation` and
`CorruptVectorObservation` put it around an environment. To add a kind, add its function and its
entry to `KINDS`.
"""

from gw_envs.corruption.kinds import KINDS, Kind, NoiseSpec, corrupt
from gw_envs.corruption.sensors import Corruption, Faults, other_scenes
from gw_envs.corruption.wrappers import CorruptObservation, CorruptVectorObservation

__all__ = [
    "KINDS",
    "CorruptObservation",
    "CorruptVectorObservation",
    "Corruption",
    "Faults",
    "Kind",
    "NoiseSpec",
    "corrupt",
    "other_scenes",
]
