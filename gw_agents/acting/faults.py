"""Failing sensors on a command line: `image=blackout`, or `image=blackout:0.5` with a severity."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
from gymnasium.vector import VectorEnv

from gw_envs.corruption import KINDS, CorruptObservation, CorruptVectorObservation
from gw_envs.errors import InputError, check_choice, check_number


class Fault(NamedTuple):
    """One failing sensor."""

    modality: str
    kind: str
    """Kind of failure, a name in `gw_envs.corruption.KINDS`."""
    severity: float = 1.0
    """Severity of the failure, from 0 (none) to 1."""


def parse_faults(words: Sequence[str]) -> tuple[Fault, ...]:
    """Parse MODALITY=KIND or MODALITY=KIND:SEVERITY, each modality once; InputError on a fault."""
    faults = [_parse(word) for word in words]
    names = [fault.modality for fault in faults]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"corrupt names {name} twice: give one kind for each modality")
    return tuple(faults)


def _parse(word: str) -> Fault:
    modality, equals, rest = word.partition("=")
    if not equals:
        raise InputError(f"corrupt is {word!r}: write MODALITY=KIND, as in image=blackout")
    kind, colon, number = rest.partition(":")
    check_choice("modality", modality, KINDS)
    check_choice(f"kind of failure of {modality}", kind, KINDS[modality])
    try:
        severity = float(number) if colon else 1.0
    except ValueError as error:
        raise InputError(
            f"the severity in {word!r} is {number!r}: give a number from 0 to 1"
        ) from error
    return Fault(modality, kind, check_number("severity", severity, 0.0, 1.0))


def corrupt_env(env: gym.Env, faults: Sequence[Fault]) -> gym.Env:
    """Wrap an environment once for each fault; each wrapper has its own random stream."""
    for number, fault in enumerate(faults):
        env = CorruptObservation(env, **_arguments(fault, number))
    return env


def corrupt_batch(env: VectorEnv, faults: Sequence[Fault]) -> VectorEnv:
    """Wrap a batch of environments once for each fault; each wrapper has its own random stream."""
    for number, fault in enumerate(faults):
        env = CorruptVectorObservation(env, **_arguments(fault, number))
    return env


def _arguments(fault: Fault, number: int) -> dict[str, Any]:
    return {
        "faults": {fault.modality: fault.kind},
        "severity": fault.severity,
        "seed": number,
    }
