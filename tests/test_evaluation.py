"""Held-out episodes: each counts once, and is the same whatever runs beside it."""

import gymnasium as gym
import numpy as np
import pytest

import gw_envs
from gw_agents.acting.evaluation import run_episodes
from gw_envs.corruption import CorruptVectorObservation
from gw_envs.dataset import episode_seed
from gw_envs.expert import expert_actions

SHAPES, _ = gw_envs.ENV_IDS


def test_every_episode_counts_once_whatever_runs_beside_it():
    def actor(observation, begins):
        return expert_actions("simple_shapes", observation["attributes"])

    wide, narrow = (run_episodes(SHAPES, actor, 13, n_envs=rows) for rows in (13, 5))
    assert all(np.array_equal(one, other) for one, other in zip(wide, narrow, strict=True))
    assert wide.success.all()
    env = gym.make(SHAPES, modalities=("attributes",))
    shown, _ = env.reset(seed=episode_seed("validation", 0, 11))
    rewards, over = [], False
    while not over:
        shown, reward, terminated, truncated, _ = env.step(
            int(expert_actions("simple_shapes", shown["attributes"]))
        )
        rewards.append(reward)
        over = terminated or truncated
    assert wide.lengths[11] == len(rewards)
    assert wide.returns[11] == pytest.approx(sum(rewards))
    other = run_episodes(SHAPES, actor, 13, split="test")
    assert not np.array_equal(other.lengths, wide.lengths)


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_corrupted_episodes_are_the_same_in_any_number_of_rows(rows):
    def actor(observation, begins):
        return expert_actions("simple_shapes", observation["attributes"])

    def wrap(env):
        faults = {"attributes": ("stale", "noise")}
        return CorruptVectorObservation(env, faults, severity=(0.1, 0.4))

    arguments = {"max_episode_steps": 20, "wrap": wrap}
    wide = run_episodes(SHAPES, actor, 7, n_envs=7, **arguments)
    narrow = run_episodes(SHAPES, actor, 7, n_envs=rows, **arguments)
    assert all(np.array_equal(one, other) for one, other in zip(wide, narrow, strict=True))
    assert len(set(wide.lengths)) > 1


def test_episodes_of_other_environments_are_the_same_in_any_number_of_rows():
    def actor(observation, begins):
        return (observation[:, 2] > 0).astype(np.int64)

    wide, narrow = (run_episodes("CartPole-v1", actor, 9, n_envs=rows) for rows in (9, 2))
    assert np.array_equal(wide.lengths, narrow.lengths)
    assert np.array_equal(wide.returns, wide.lengths)
    assert wide.success is None


def test_a_memory_is_told_where_each_episode_begins():
    beginnings = []

    def actor(observation, begins):
        beginnings.append(begins)
        return expert_actions("simple_shapes", observation["attributes"])

    scores = run_episodes(SHAPES, actor, 11, n_envs=4)
    assert np.sum(beginnings) == 11
    assert beginnings[0].all()
    assert len(beginnings) < scores.lengths.sum()
