"""Short import path for Stable-Baselines3 users: environments, wrappers and feature extractors."""

from gw_agents.acting.extractors import GWFeaturesExtractor, RawExtractor, TokenExtractor
from gw_agents.acting.vec_env import (
    CorruptVecObservation,
    GWVecEnv,
    GWVecObservation,
    RepresentedVecEnv,
    make_vec,
)

__all__ = [
    "CorruptVecObservation",
    "GWFeaturesExtractor",
    "GWVecEnv",
    "GWVecObservation",
    "RawExtractor",
    "RepresentedVecEnv",
    "TokenExtractor",
    "make_vec",
]
