"""Goals in any modality: how they are drawn, seen, judged and rewarded, and reached by experts."""

import numpy as np
import pytest
from goal_episodes import FREE, SENTENCES, appearance, batch, every_goal, every_id, layouts, make
from gymnasium.utils.env_checker import check_env
from rollouts import digest, random_action

from gw_envs import MODALITIES
from gw_envs.core import make_core
from gw_envs.errors import InputError
from gw_envs.expert import expert_actions, expert_goals
from gw_envs.factory.layout import are_reachable, poses_from_uniform
from gw_envs.factory.relations import relation_distance
from gw_envs.goals import Goals, claims_of
from gw_envs.language import VOCABULARY, caption_truth, parse, sentences, tokens
from gw_envs.language.registry import grammar_of_scene
from gw_envs.scenes import get_scene

# Drawing goals.


@every_id
def test_without_goals_nothing_changes_and_with_them_episodes_begin_alike(env_id):
    plain = make(env_id, None)
    assert "goal" not in plain.observation_space.spaces
    plain.reset(seed=5)
    start, goals = plain.state, []
    assert plain.goals is None
    for goal in MODALITIES:
        env = make(env_id, goal)
        observation, info = env.reset(seed=5)
        assert list(observation) == ["attributes", "goal"]
        assert env.state == start
        assert {"pose_reached", "claims_true"} <= set(info)
        goals.append(digest(env.goals.scenes.arrays(), env.goals.columns, env.goals.meanings))
        env.close()
    assert len(set(goals)) == 1  # a seed has the same goal in every modality
    plain.close()


@every_id
def test_goals_are_other_poses_of_the_same_object_and_not_reached(env_id):
    for layout in layouts(env_id):
        core = make_core(get_scene(env_id).name, num_envs=60, goal="attributes", layout=layout)
        core.start_episodes(np.arange(60), [np.random.default_rng(row) for row in range(60)])
        goals, state = core.goals, core.current()
        assert digest(appearance(goals.scenes)) == digest(appearance(state))
        assert not core.task.success(*core.task.distances(core.poses(), goals.poses)).any()
        assert not goals.claims_hold(state).all(1).any()
        assert goals.claims_hold(goals.scenes).all()
        assert core.is_reachable(goals.scenes).all()
        assert np.ptp(goals.poses, axis=0) == pytest.approx(np.ptp(core.poses(), axis=0), rel=0.3)
        assert len(set(goals.scenes.wording_seed.tolist())) == 60
        core.close()


def test_goals_of_the_factory_are_drawn_as_its_tables_are():
    core = make_core("factory", num_envs=1, layout="random")
    state = core.sample(np.random.default_rng(0), 5)
    for scene in (state[row : row + 1] for row in range(5)):
        poses = poses_from_uniform(np.random.default_rng(1).random((200, 3)))
        landmarks = np.repeat(scene.landmarks, 200, 0)
        clear = are_reachable(poses, landmarks, with_path=False)
        reachable = are_reachable(poses, landmarks, with_path=True)
        assert 0 < reachable.sum() < clear.sum() < 200
        assert not (reachable & ~clear).any()


# Seeing goals.


@every_id
@every_goal
def test_the_goal_is_seen_as_its_scene_would_be(env_id, goal):
    for layout in layouts(env_id):
        env = make(env_id, goal, layout=layout)
        space = env.observation_space
        for seed in range(3):
            observation = env.reset(seed=seed)[0]
            assert space.contains(observation)
            assert (
                space["goal"]
                == make_core(get_scene(env_id).name, layout=layout).observation_space[goal]
            )
            seen = env.core.observe(env.goals.scenes, (goal,))[goal][0]
            assert np.array_equal(observation["goal"], seen)
            assert np.array_equal(env.step(0)[0]["goal"], seen)  # kept for the whole episode
        env.close()


@every_id
def test_goals_as_text(env_id):
    single, several = (
        create(env_id, "language", language="text", modalities=("language",))
        for create in (make, batch)
    )
    observation = single.reset(seed=1)[0]
    assert observation["goal"] == sentences(single.goals.scenes)[0]
    assert single.observation_space.contains(observation)
    observations = several.reset(seed=1)[0]
    assert observations["goal"][0] == observation["goal"]
    assert several.observation_space.contains(observations)
    single.close()
    several.close()


@every_id
@every_goal
def test_a_goal_is_observed_once_an_episode_and_nothing_else_is(env_id, goal, monkeypatch):
    calls = {"image": 0, "attributes": 0, "language": 0}

    def counting(name, function):
        def count(*arguments):
            calls[name] += 1
            return function(*arguments)

        return count

    env = make(env_id, goal, modalities=("language",) if goal == "image" else ("image",))
    core = type(env.core)
    monkeypatch.setattr(core, "images", counting("image", core.images))
    monkeypatch.setattr(core, "attributes", counting("attributes", core.attributes))
    monkeypatch.setattr("gw_envs.core.tokens", counting("language", tokens))
    monkeypatch.setattr("gw_envs.goal_draws.tokens", counting("language", tokens))
    env.reset(seed=0)
    for _ in range(4):
        env.step(4)
    (shown,) = env.core.modalities
    expected = {**dict.fromkeys(MODALITIES, 0), shown: 5, goal: 1}
    assert calls == expected
    env.close()


@every_id
@every_goal
def test_gymnasium_checker(env_id, goal):
    check_env(make(env_id, goal, actions="continuous"), skip_render_check=True)


def test_what_a_user_does_to_an_observation_does_not_change_the_goal():
    env = make("GWSimpleShapes-v0", "image")
    goal = env.reset(seed=0)[0]["goal"]
    before = goal.copy()
    goal[:] = 0
    assert np.array_equal(env.step(0)[0]["goal"], before)
    env.close()


# Success and reward.


@every_id
@pytest.mark.parametrize("goal", ["image", "attributes"])
def test_goals_with_a_pose_are_rewarded_as_the_published_goal(env_id, goal):
    env = make(env_id, goal)
    env.reset(seed=2, options={"goal": FREE[env_id]})
    task, (x, y, rotation) = env.core.task, FREE[env_id]
    start = {
        "x": x - 1.5 * task.tolerance,
        "y": y,
        "rotation": rotation - 1.5 * task.angle_tolerance,
    }
    env.set_state(start)
    before = env.core.poses()[0]
    _, reward, terminated, _, info = env.step(3)
    moved = env.core.poses()[0] - before
    assert reward == pytest.approx(moved[0] / task.step - 0.05, abs=1e-6)
    assert (terminated, info["is_success"], info["pose_reached"]) == (False, False, False)
    _, reward, terminated, _, info = env.step(4)
    assert reward == pytest.approx(10 / np.pi * task.turn - 0.05 + 5, abs=1e-3)
    assert (terminated, info["is_success"], info["pose_reached"]) == (True, True, True)
    env.close()


@every_id
def test_goals_in_language_are_reached_when_their_claims_are_true(env_id):
    env = make(env_id, "language", modalities=("attributes", "language"))
    scene, rng, ends = get_scene(env_id).name, np.random.default_rng(0), set()
    for seed in range(6):
        observation = env.reset(seed=seed)[0]
        goal = VOCABULARY.decode(observation["goal"])
        goals = expert_goals(env.core)
        for _ in range(200):
            action = expert_actions(scene, observation["attributes"], "discrete", goals[0])
            if rng.random() < 0.2:
                action = rng.integers(6)
            observation, _, terminated, _, info = env.step(action)
            truth = caption_truth(goal, env.state)
            holds = truth["place"] and truth["direction"]
            assert info["claims_true"] == info["is_success"] == terminated == holds
            ends.add((info["claims_true"], info["pose_reached"]))
            if terminated:
                break
        assert terminated
    assert {(False, False), (True, False)} <= ends  # the two criteria are not one
    env.close()


@every_id
def test_the_reward_of_a_sentence_by_hand(env_id):
    env = make(env_id, "language")
    x, y, _ = FREE[env_id]
    sentence = SENTENCES[env_id].replace("close to the cones", "at the top left")
    env.reset(seed=0, options={"goal": sentence, "state": {"x": x, "y": y, "rotation": np.pi}})
    claims = {claim.slot: claim for claim in parse(get_scene(env_id).name, sentence)}
    width = {"GWSimpleShapes-v0": 7 + 17 / 3, "GWFactory-v0": -0.5}[env_id]
    direction = {"north": 0.0, "west": np.pi / 2}[claims["direction"].text]
    angle = np.pi - direction - np.pi / 8
    low, high = {
        "GWSimpleShapes-v0": (x - width, 24 - 17 / 3 - y),
        "GWFactory-v0": (x - width, 0.5 - y),
    }[env_id]
    expected = np.hypot(max(low, 0.0), max(high, 0.0)), angle
    distance, turn = env.core.standing().distances
    assert (distance[0], turn[0]) == pytest.approx(expected)
    after = np.hypot(max(low - env.core.task.step, 0.0), max(high, 0.0))
    reward = env.step(2)[1]
    assert reward == pytest.approx((expected[0] - after) / env.core.task.step - 0.05, abs=1e-4)
    reward = env.step(5)[1]
    assert reward == pytest.approx(10 / np.pi * env.core.task.turn - 0.05, abs=1e-3)
    env.close()


@every_id
def test_distances_to_places_are_those_to_the_nearest_place_where_the_claim_is_true(env_id):
    core = make_core(get_scene(env_id).name, layout=layouts(env_id)[-1])
    across = np.linspace(*core.scene.range_of("x"), 60)
    grid = np.stack(np.meshgrid(across, across), -1).reshape(-1, 2)
    variants = set()
    for seed in range(40):
        start = core.sample(np.random.default_rng(seed))
        goals = Goals("language", start, *claims_of(start))[np.zeros(len(grid), np.int64)]
        everywhere = goals.scenes.with_poses(*grid.T.copy(), goals.scenes.rotation)
        hold = goals.claims_hold(everywhere)[:, 0]
        (distances, _), *_ = goals.standing(core.task, everywhere, np.zeros((len(grid), 3)))
        assert (distances[hold] == 0).all()
        assert (distances[~hold] > 0).mean() > 0.99  # the rest lies on a border
        nearest = np.full(len(grid), np.inf)
        for place in grid[hold]:
            nearest = np.minimum(nearest, np.hypot(*(grid - place).T))
        assert (distances <= nearest + 1e-9).all()
        variant = grammar_of_scene(core.scene.name).columns[goals.columns[0, 0]][1]
        variants.add(variant)
        if hold.any() and not variant.startswith("landmark"):  # those have a lower bound only
            assert (nearest - distances).max() < 1.5 * (across[1] - across[0])
    assert variants > {"coarse", "fine"} or env_id == "GWSimpleShapes-v0"


@pytest.mark.parametrize("side", range(4))
def test_distances_to_sides_of_a_landmark_by_hand(side):
    centers, extents = np.array([(0.0, 0.0), (9.0, 9.0)]), np.array([(0.6, 0.16)] * 2)
    turned = {
        0: lambda ahead, aside: (-0.6 - ahead, 0.16 + aside),
        1: lambda ahead, aside: (0.6 + ahead, -0.16 - aside),
        2: lambda ahead, aside: (0.6 + aside, -0.16 - ahead),
        3: lambda ahead, aside: (-0.6 - aside, 0.16 + ahead),
    }[side]
    expected = {
        (0.5, -0.1): 0.0,
        (0.5, 0.3): 0.0,
        (1.0, -0.1): 0.2,
        (0.9, 0.4): np.hypot(0.9, 0.4) - 0.8,
        (0.1, 0.5): 0.4 / np.sqrt(2),
    }
    for place, distance in expected.items():
        measured = relation_distance(*turned(*place), centers, extents, 0.8, 0, side)
        assert measured == pytest.approx(distance, abs=1e-12), place
    # halfway to the other landmark, whichever side it is: 1 m nearer to it needs a move of 0.5 m
    along = (9.0 + 0.6 - 0.6) / 2
    near_other = relation_distance(along + 0.5, 9.0, centers, extents, 20.0, 0, -1)
    own = np.hypot(along + 0.5 - 0.6, 9.0 - 0.16)
    assert near_other == pytest.approx((own - (9.0 - 0.6 - along - 0.5)) / 2)


@every_id
@pytest.mark.parametrize("goal", ["attributes", "language"])
@pytest.mark.parametrize("actions", ["discrete", "continuous"])
def test_the_expert_reaches_goals_and_chance_does_not(env_id, goal, actions):
    scene, share = get_scene(env_id).name, {}
    for policy in ("expert", "random"):
        env = batch(env_id, goal, 8, actions=actions, max_episode_steps=100)
        observations, rng = env.reset(seed=3)[0], np.random.default_rng(0)
        reached = np.zeros(8, np.bool_)
        for _ in range(100 if policy == "expert" else 25):
            if policy == "expert":
                goals = expert_goals(env.core)
                action = expert_actions(scene, observations["attributes"], actions, goals)
            else:
                action = random_action(env, rng)
            observations, _, terminated, _, _ = env.step(action)
            reached |= terminated
            if reached.all():
                break
        share[policy] = reached.mean()
        env.close()
    assert share["expert"] == 1.0
    assert share["random"] < 0.5


def test_expert_goals_beside_the_attributes():
    env = make("GWSimpleShapes-v0", None)
    attributes = env.reset(seed=0)[0]["attributes"]
    assert expert_goals(env.core) is None
    (action,) = expert_actions("simple_shapes", attributes[None], "discrete", [(16, 16, 0)])
    assert action == expert_actions("simple_shapes", attributes)
    with pytest.raises(InputError, match=r"give poses of shape \(3,\)"):
        expert_actions("simple_shapes", attributes, "discrete", [(16, 16, 0)])
    env.close()
