"""Failing sensors: every kind on arrays, and the wrappers around one and many environments."""

import copy
import inspect
import multiprocessing
import warnings
from concurrent.futures import ProcessPoolExecutor

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from rollouts import corrupted_rollout_of, digest, random_action, rollout, vector_rollout

from gw_envs import ENV_IDS, MODALITIES
from gw_envs.corruption import (
    KINDS,
    Corruption,
    CorruptObservation,
    CorruptVectorObservation,
    corrupt,
)
from gw_envs.dataset import Sampler
from gw_envs.language import VOCABULARY

SHAPES = ENV_IDS[0]
EVERYTHING = {modality: tuple(kinds) for modality, kinds in KINDS.items()}
ROWS = 200

every_kind = pytest.mark.parametrize(
    ("modality", "kind"), [(name, kind) for name in KINDS for kind in KINDS[name]]
)
every_id = pytest.mark.parametrize("env_id", ENV_IDS)
rhythms = pytest.mark.parametrize("every", ["episode", "step"])


@pytest.fixture(scope="module")
def seen():
    sampler = Sampler("simple_shapes", "train")
    return [sampler.batch(number, ROWS) for number in range(3)]


@pytest.fixture(scope="module")
def fault(seen):
    """Return a function that corrupts batch 0; batch 1 was shown before, 2 is of other scenes."""
    rows, previous, others = seen

    def run(modality, kind, severity, seed=0, only=slice(None)):
        arguments = {"previous": previous[modality][only], "others": others[modality]}
        return corrupt(
            modality, kind, rows[modality][only], severity, np.random.default_rng(seed), **arguments
        )

    return run


def damage(modality: str, rows: np.ndarray, corrupted: np.ndarray) -> float:
    """Return the mean absolute error, or the fraction of words that changed."""
    if modality == "language":
        return float((rows != corrupted)[rows != 0].mean())
    return float(np.abs(rows.astype(np.float64) - corrupted).mean())


def assert_valid(modality: str, corrupted: np.ndarray, like: np.ndarray) -> None:
    assert corrupted.dtype == like.dtype
    assert corrupted.shape == like.shape
    if modality == "attributes":
        assert np.abs(corrupted).max() <= 1
    if modality == "language":
        assert 0 <= corrupted.min() <= corrupted.max() < len(VOCABULARY)
        assert not np.isin(corrupted, (1, 2)).any()
        padding = corrupted == 0
        assert (~padding[:, :-1] | padding[:, 1:]).all()  # only at the end
        VOCABULARY.decode_rows(corrupted)


@every_kind
def test_severity_0_changes_nothing(modality, kind, seen, fault):
    rows = seen[0][modality]
    before = rows.tobytes()
    corrupted = fault(modality, kind, 0.0)
    assert corrupted.tobytes() == before
    assert not np.shares_memory(corrupted, rows)
    half = np.where(np.arange(ROWS) % 2, 0.0, 0.7)
    mixed = fault(modality, kind, half)
    assert mixed[1::2].tobytes() == rows[1::2].tobytes()
    assert not np.array_equal(mixed[::2], rows[::2])
    assert rows.tobytes() == before


@every_kind
def test_damage_grows_with_severity(modality, kind, seen, fault):
    rows = seen[0][modality]
    results = []
    for severity in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        corrupted = fault(modality, kind, severity)
        assert_valid(modality, corrupted, rows)
        results.append(damage(modality, rows, corrupted))
    assert results[0] == 0
    assert results == sorted(results)
    assert results[1] > 0
    assert results[-1] > (0.5 if modality == "language" else 4 * results[1])


@every_kind
def test_a_row_is_corrupted_by_itself(modality, kind, seen, fault):
    rows = seen[0][modality]
    severity = np.random.default_rng(1).random(ROWS)
    assert np.array_equal(fault(modality, kind, severity), fault(modality, kind, severity))
    assert not np.array_equal(fault(modality, kind, severity, seed=1), rows)
    first = fault(modality, kind, severity[:1], only=slice(1))
    assert np.array_equal(first, fault(modality, kind, severity)[:1])
    assert fault(modality, kind, severity[:0], only=slice(0)).shape == (0, *rows.shape[1:])


def test_nothing_of_the_scene_remains_in_the_worst_images(seen, fault):
    rows = seen[0]["image"]
    worst = {kind: fault("image", kind, 1.0) for kind in KINDS["image"]}
    assert not worst["blackout"].any()
    assert (worst["blackout"] == 0).all()
    noise = worst["noise"].astype(float) - worst["noise"].mean()
    signal = rows - rows.mean(0)
    assert (
        abs((noise * signal).mean() / (noise.std() * signal.std())) < 0.01
    )  # nothing of the scene is left
    assert (
        np.ptp(worst["blur"].astype(int), axis=(1, 2)).max()
        < 0.5 * np.ptp(rows.astype(int), axis=(1, 2)).max()
    )
    assert (worst["occlusion"] == worst["occlusion"][:, :1, :1]).all()
    ranks = [
        np.linalg.matrix_rank(one.reshape(-1, 3).astype(float), tol=30)
        for one in worst["color_cast"]
    ]
    assert max(ranks) == 1  # shades of one color
    assert np.array_equal(worst["frozen"], seen[1]["image"])
    elsewhere = {one.tobytes() for one in seen[2]["image"]}
    assert all(one.tobytes() in elsewhere for one in worst["other_scene"])


def test_occlusion_hides_the_fraction_asked_for(seen):
    white = np.full((ROWS, 32, 32, 3), 255, np.uint8)
    corrupted = corrupt("image", "occlusion", white, 0.25, np.random.default_rng(0))
    hidden = (corrupted != white).any(-1)
    assert set(hidden.sum((1, 2)).tolist()) <= {256, 0}  # 16 x 16, unless the color itself is white
    assert hidden.any(0).mean() > 0.98  # anywhere
    assert not hidden.all(0).any()


def test_blur_is_a_gaussian():
    image = np.zeros((1, 64, 64, 3), np.uint8)
    image[0, 32, 32] = 255
    corrupted = corrupt("image", "blur", image, 0.25, np.random.default_rng(0))[
        0, :, :, 0
    ]  # sigma: 0.25 ** 1.5 * 32 = 4
    apart = np.arange(64) - 32
    line = np.exp(-(apart**2) / 32.0)
    expected = 255 * np.outer(line, line) / line.sum() ** 2
    assert np.abs(corrupted - expected).max() <= 0.51
    grey = np.full((1, 64, 64, 3), 77, np.uint8)
    assert np.array_equal(
        corrupt("image", "blur", grey, 1.0, np.random.default_rng(0)), grey
    )  # no dark edges


def test_nothing_of_the_scene_remains_in_the_worst_attributes(seen, fault):
    rows = seen[0]["attributes"]
    worst = {kind: fault("attributes", kind, 1.0) for kind in KINDS["attributes"]}
    noise = np.random.default_rng(0).standard_normal(rows.shape, np.float32)
    assert np.array_equal(worst["noise"], np.clip(noise, -1, 1))
    assert not worst["dropped"].any()
    off = worst["bias"] - rows
    assert off.min() < -1
    assert off.max() > 1
    assert np.array_equal(worst["stale"], seen[1]["attributes"])
    elsewhere = {one.tobytes() for one in seen[2]["attributes"]}
    assert all(one.tobytes() in elsewhere for one in worst["other_scene"])


def test_nothing_of_the_scene_remains_in_the_worst_captions(seen, fault):
    rows = seen[0]["language"]
    worst = {kind: fault("language", kind, 1.0) for kind in KINDS["language"]}
    assert not worst["dropped"].any()
    assert not worst["empty"].any()
    is_word = rows != 0
    assert np.array_equal(worst["replaced"] != 0, is_word)
    assert (worst["replaced"] != rows)[is_word].all()
    assert len(np.unique(worst["replaced"])) > 0.9 * (len(VOCABULARY) - 3)
    assert np.array_equal(np.sort(worst["shuffled"]), np.sort(rows))
    assert (worst["shuffled"] != rows)[is_word].mean() > 0.8
    elsewhere = {one.tobytes() for one in seen[2]["language"]}
    assert all(one.tobytes() in elsewhere for one in worst["other_scene"])


def test_dropped_words_leave_the_rest_in_order(seen, fault):
    for before, after in zip(
        seen[0]["language"].tolist(), fault("language", "dropped", 0.5).tolist(), strict=True
    ):
        rest = iter(before)
        assert all(word in rest for word in after if word)


def test_other_rows_serve_as_other_scenes():
    rows = np.linspace(-1, 1, 5, dtype=np.float32)[:, None].repeat(3, 1)
    results = set()
    for seed in range(40):
        corrupted = corrupt("attributes", "other_scene", rows, 1.0, np.random.default_rng(seed))
        assert (corrupted != rows).all()
        results |= {(row, float(value)) for row, value in enumerate(corrupted[:, 0])}
    assert len(results) == 5 * 4


# Around environments.


def faulty(
    env_id=SHAPES, faults=EVERYTHING, modalities=MODALITIES, **arguments
) -> CorruptObservation:
    return CorruptObservation(gym.make(env_id, modalities=modalities), faults, **arguments)


@every_id
@rhythms
def test_gymnasium_checker_and_spaces(env_id, every):
    env = faulty(env_id, every=every, severity=(0.2, 1.0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*different from the unwrapped version")
        warnings.filterwarnings("ignore", ".*render")
        check_env(env, skip_render_check=True)
    env = faulty(env_id, every=every)
    rng = np.random.default_rng(0)
    for seed in range(6):
        observations = [env.reset(seed=seed)[0]]
        observations += [env.step(random_action(env, rng))[0] for _ in range(5)]
        assert all(env.observation_space.contains(one) for one in observations)
    env.close()


@every_id
@rhythms
def test_the_environment_notices_nothing(env_id, every):
    env, plain = faulty(env_id, every=every), gym.make(env_id)
    rng = np.random.default_rng(0)
    changed = 0
    for seed in (0, 1):
        observation, info = env.reset(seed=seed)
        true, true_info = plain.reset(seed=seed)
        for _ in range(20):
            changed += digest(observation) != digest(true)
            assert digest(info) == digest(true_info)
            assert digest(env.unwrapped.core.state.arrays()) == digest(
                plain.unwrapped.core.state.arrays()
            )
            assert (
                env.unwrapped.np_random.bit_generator.state
                == plain.unwrapped.np_random.bit_generator.state
            )
            action = random_action(env, rng)
            observation, *rest, info = env.step(action)
            true, *true_rest, true_info = plain.step(action)
            assert rest == true_rest
    assert changed > 30
    env.close()
    plain.close()


@rhythms
def test_equal_seeds_corrupt_alike(every):
    env = faulty(every=every, severity=(0.0, 1.0), at_once=2)
    expected = rollout(env, 30, seed=3)
    assert rollout(env, 30, seed=3) == expected  # whatever happened before
    other = faulty(every=every, severity=(0.0, 1.0), at_once=2, seed=1)
    assert rollout(other, 30, seed=3) != expected
    assert rollout(env, 30, seed=4) != expected
    made = gym.make(copy.deepcopy(env.spec))
    assert isinstance(made, CorruptObservation)
    assert rollout(made, 30, seed=3) == expected
    env = faulty(every=every, severity=0)
    assert rollout(env, 30, seed=3) == rollout(gym.make(SHAPES), 30, seed=3)


def test_another_process_gives_the_same():
    arguments = {"faults": EVERYTHING, "every": "step", "at_once": 2, "severity": (0.1, 1.0)}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        elsewhere = pool.submit(corrupted_rollout_of, SHAPES, 30, 5, **arguments).result()
    assert elsewhere == corrupted_rollout_of(SHAPES, 30, 5, **arguments)


@pytest.mark.parametrize(("every", "stays"), [("episode", True), ("step", False)])
def test_failures_stay_for_an_episode_or_change_with_each_step(every, stays):
    env = faulty(
        faults={"attributes": "bias", "image": ("occlusion", "color_cast")},
        severity=0.01,
        every=every,
    )
    constants = []
    for seed in (0, None, None):
        observations = [env.reset(seed=seed)[0], *(env.step(0)[0] for _ in range(8))]
        true = env.unwrapped.core.observe()["attributes"][0]
        # only of the color, which never changes
        off = [tuple((one["attributes"] - true)[8:]) for one in observations]
        assert (len(set(off)) == 1) == stays
        assert np.abs(off).max() <= 0.02 + 1e-6
        constants.append(off[0])
    assert len(set(constants)) == 3
    env.close()


def observed_and_true(
    env: CorruptObservation, seed: int, steps: int
) -> tuple[list[dict], list[dict]]:
    """Return the observations of an episode up and down, corrupted and true."""
    core = env.unwrapped.core
    observations, true = [env.reset(seed=seed)[0]], [core.observe()]
    for step in range(steps):
        observations.append(env.step(step % 2)[0])
        true.append(core.observe())
    return observations, [{name: rows[0] for name, rows in one.items()} for one in true]


@rhythms
def test_a_sensor_that_fails_for_good_shows_the_first_observation(every):
    env = faulty(faults={"attributes": "stale", "image": "frozen"}, every=every)
    for seed in (0, 1):
        observations, true = observed_and_true(env, seed, 10)
        for now, then in zip(observations, true, strict=True):
            assert np.array_equal(now["image"], true[0]["image"])
            assert np.array_equal(now["attributes"], true[0]["attributes"])
            assert np.array_equal(now["language"], then["language"])
    env.close()


def test_a_sensor_that_fails_now_and_then_shows_what_it_showed_before():
    env = faulty(faults={"attributes": "stale"}, severity=0.5, every="step")
    observations, true = observed_and_true(env, 0, 90)
    held = 0
    for before, now, then in zip(observations, observations[1:], true[1:], strict=False):
        fresh = np.array_equal(now["attributes"], then["attributes"])
        assert fresh or np.array_equal(now["attributes"], before["attributes"])
        held += not fresh
    assert 10 < held < 60  # half of the time, and of these half by chance in the right place
    env = faulty(faults={"attributes": "stale"}, severity=0.5, every="episode")
    failed = []
    for seed in range(30):
        observations, true = observed_and_true(env, seed, 4)
        same = [digest(now) == digest(then) for now, then in zip(observations, true, strict=True)]
        assert all(same) or same == [True, False, True, False, True]
        failed.append(not all(same))
    assert 5 < sum(failed) < 25
    env.close()


def test_as_many_modalities_fail_at_once_as_asked():
    for at_once, expected in ((1, 1), (2, 2), (3, 3), (None, 3)):
        env = CorruptVectorObservation(
            gym.make_vec(SHAPES, num_envs=60), EVERYTHING, at_once=at_once, severity=(0.5, 0.9)
        )
        env.reset(seed=0)
        failing = env.corruption.failing()
        assert (sum((names != "").astype(int) for names in failing.values()) == expected).all()
        assert all(len(set(names.tolist())) > 1 for names in failing.values())
        severity = np.stack(list(env.corruption.severity.values()))
        assert ((severity == 0) | ((severity >= 0.5) & (severity <= 0.9))).all()
        assert len(np.unique(severity)) > 50
        assert failing.keys() == KINDS.keys()
        env.close()


@pytest.mark.parametrize(
    "faults", [EVERYTHING, {"language": "empty", "image": "blackout", "attributes": "dropped"}]
)
def test_all_modalities_can_fail_at_once(faults):
    env = faulty(faults=faults)
    observation = env.reset(seed=0)[0]
    for _ in range(3):
        assert env.observation_space.contains(observation)
        observation = env.step(0)[0]
    if "language" in faults and faults["language"] == "empty":
        assert not any(values.any() for values in observation.values())
    env.close()


@every_id
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_rows_of_a_batch_equal_single_environments(env_id, mode):
    count, steps = 2, 16
    limit = {"max_episode_steps": 7}
    for every in ("episode", "step"):
        arguments = {"every": every, "severity": (0.1, 1.0), "at_once": 2}
        native = gym.make_vec(env_id, num_envs=count, autoreset_mode=mode, **limit)

        def one(arguments=arguments):
            return CorruptObservation(gym.make(env_id, **limit), EVERYTHING, **arguments)

        single = SyncVectorEnv([one] * count, autoreset_mode=mode)
        batch = CorruptVectorObservation(native, EVERYTHING, **arguments)
        assert batch.observation_space == native.observation_space
        digests = vector_rollout(batch, steps, seed=3)
        assert digests == vector_rollout(single, steps, seed=3)
        assert digests == vector_rollout(batch, steps, seed=3)
        assert digests != vector_rollout(native, steps, seed=3)
        batch.close()
        single.close()


@pytest.mark.torch
@rhythms
def test_stable_baselines_rows_equal_single_environments(every):
    from stable_baselines3.common.env_util import make_vec_env

    from gw_agents.acting.vec_env import CorruptVecObservation
    from gw_agents.sb3 import make_vec

    arguments = {"severity": (0.1, 1.0), "every": every}
    limit = {"max_episode_steps": 6}
    ours = CorruptVecObservation(
        make_vec(SHAPES, n_envs=3, seed=5, **limit), EVERYTHING, **arguments
    )
    theirs = make_vec_env(
        SHAPES,
        3,
        5,
        env_kwargs=limit,
        wrapper_class=CorruptObservation,
        wrapper_kwargs={"faults": EVERYTHING, **arguments},
    )
    outside = CorruptVecObservation(
        make_vec_env(SHAPES, 3, 5, env_kwargs=limit), EVERYTHING, **arguments
    )
    venvs = (ours, theirs, outside)
    assert len({digest(venv.reset()) for venv in venvs}) == 1
    ended = 0
    for step in range(20):
        outcomes = [venv.step(np.full(3, step % 2)) for venv in venvs]
        assert len({digest(*outcome[:3]) for outcome in outcomes}) == 1
        if outcomes[0][2].any():
            ended += 1
            last = [[info["terminal_observation"] for info in infos] for *_, infos in outcomes]
            assert digest(last[0]) == digest(last[1]) == digest(last[2])
    assert ended == 3
    for venv in venvs:
        venv.close()


@rhythms
def test_a_reset_mask_begins_some_rows_and_leaves_the_others(every):
    arguments = {"every": every, "severity": (0.1, 1.0), "at_once": 2}
    faults = {**EVERYTHING, "language": ("dropped", "shuffled")}
    env = CorruptVectorObservation(gym.make_vec(SHAPES, num_envs=3), faults, **arguments)
    env.reset(seed=3)
    before = env.step([0, 1, 2])[0]
    mask = np.array([False, True, False])
    after = env.reset(seed=8, options={"reset_mask": mask})[0]
    single = CorruptObservation(gym.make(SHAPES), faults, **arguments)
    first = single.reset(seed=9)[0]  # row 1 has the seed 8 + 1
    for name, values in after.items():
        assert np.array_equal(values[~mask], before[name][~mask])
        assert np.array_equal(values[1], first[name])
    later = env.step([0, 1, 2])[0]
    expected = single.step(1)[0]
    assert all(np.array_equal(later[name][1], expected[name]) for name in later)
    env.close()
    single.close()


# Wrong input.


WRONG = [
    ({"severity": 1.5}, r"severity is 1.5: it must lie in \[0, 1\]"),
    ({"severity": -0.1}, "severity is -0.1"),
    ({"severity": float("nan")}, "severity is nan"),
    ({"severity": (0.5, float("nan"))}, "severity is nan"),
    ({"severity": (0.5, 2)}, "severity is 2"),
    ({"severity": (0.5, 0.2)}, "from low to high"),
    ({"severity": [0.1, 0.2, 0.3]}, "give one number, or two"),
    ({"severity": "high"}, "severity is 'high'"),
    ({"severity": None}, "severity is (None|nan)"),
    (
        {"faults": {"language": "empty"}},
        "language cannot be corrupted, as it is not observed.* holds attributes, image",
    ),
    ({"faults": {"smell": "strong"}}, "unknown modality 'smell'"),
    (
        {"faults": {"image": "fog"}},
        "unknown kind 'fog' of corrupted image: the kinds are blackout, noise",
    ),
    ({"faults": {"attributes": ("bias", "blur")}}, "unknown kind 'blur' of corrupted attributes"),
    ({"faults": {"image": ()}}, "has no kind"),
    ({"faults": {}}, r"faults is \{\}: give modalities with their kinds"),
    ({"faults": "image"}, "faults is 'image'"),
    ({"every": "day"}, "unknown rhythm of `every` 'day': choose 'episode' or 'step'"),
    ({"at_once": 0}, "at_once is 0: it must be a whole number from 1 to 1"),
    ({"at_once": 2}, "at_once is 2"),
    ({"seed": -1}, "seed is -1"),
    ({"seed": 0.5}, "seed is 0.5"),
    ({"faults": {"image": "other_scene"}, "others": {}}, "`others` has no image"),
    (
        {"faults": {"image": "other_scene"}, "others": {"image": np.zeros((4, 8, 8, 3), np.uint8)}},
        "`others` of image",
    ),
    (
        {"faults": {"image": "other_scene"}, "others": {"image": np.zeros((4, 32, 32, 3))}},
        "image rows are float64",
    ),
]


def assert_one_sentence(error: BaseException) -> None:
    assert len(str(error)) < 200
    assert "\n" not in str(error)


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_arguments_are_refused(arguments, message):
    arguments = {"faults": {"image": "blur"}, **arguments}
    asked = ("image", "attributes")
    for make, wrap in ((gym.make, CorruptObservation), (gym.make_vec, CorruptVectorObservation)):
        env = make(SHAPES, modalities=asked)
        with pytest.raises(ValueError, match=message) as caught:
            wrap(env, **arguments)
        assert_one_sentence(caught.value)


@pytest.mark.torch
@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_arguments_around_stable_baselines(arguments, message):
    from gw_agents.acting.vec_env import CorruptVecObservation
    from gw_agents.sb3 import make_vec

    arguments = {"faults": {"image": "blur"}, **arguments}
    with pytest.raises(ValueError, match=message):
        CorruptVecObservation(make_vec(SHAPES, modalities=("image", "attributes")), **arguments)


def test_environments_that_cannot_be_corrupted_are_refused():
    for env, faults, message in (
        (gym.make(SHAPES, language="text"), {"language": "empty"}, 'language="tokens"'),
        (gym.make("CartPole-v1"), {"image": "blur"}, "image cannot be corrupted.* holds a Box"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            CorruptObservation(env, faults)
        assert_one_sentence(caught.value)
    sync = gym.make_vec(SHAPES, num_envs=2, vectorization_mode="sync")
    with pytest.raises(ValueError, match="needs `others` here") as caught:
        CorruptVectorObservation(sync, {"image": "other_scene"})
    assert_one_sentence(caught.value)
    by_hand = SyncVectorEnv([lambda: gym.make(SHAPES)], autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(ValueError, match="DISABLED"):
        CorruptVectorObservation(by_hand, {"image": "blur"})


def test_text_is_left_alone():
    env, plain = (gym.make(SHAPES, language="text") for _ in range(2))
    observation = CorruptObservation(env, {"image": "blackout"}).reset(seed=0)[0]
    assert observation["language"] == plain.reset(seed=0)[0]["language"]
    assert not observation["image"].any()


def test_wrong_arrays_are_refused(seen):
    rng = np.random.default_rng(0)
    rows = seen[0]
    for modality, kind, array, severity, message in (
        ("image", "blur", rows["image"], 1.01, "severity is 1.01"),
        ("image", "blur", rows["image"], np.full(ROWS, np.nan), "severity is nan: it must"),
        (
            "image",
            "blur",
            rows["image"],
            np.zeros(3),
            r"severity has shape \(3,\): give one number, or one for each",
        ),
        (
            "image",
            "blur",
            rows["image"][0],
            1,
            r"image rows are uint8 of shape \(32, 32, 3\): give uint8 of shape \(N, S",
        ),
        ("image", "blur", rows["image"][:, :9], 1, "image rows are"),
        ("attributes", "bias", rows["attributes"].astype(float), 1, "attributes rows are float64"),
        ("language", "empty", rows["image"], 1, "language rows are uint8"),
        ("image", "frozen", rows["image"], 1, "needs `previous`"),
        ("attributes", "other_scene", rows["attributes"][:1], 1, "needs `others`"),
        ("touch", "numb", rows["image"], 1, "unknown modality 'touch'"),
        ("language", "numb", rows["language"], 1, "unknown kind 'numb'"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            corrupt(modality, kind, array, severity, rng)
        assert_one_sentence(caught.value)
    sensors = Corruption(gym.make(SHAPES).observation_space, {"image": "blur"}, num_rows=2)
    with pytest.raises(ValueError, match="give 2 rows as in the observation space"):
        sensors({"image": rows["image"]})


def test_every_kind_says_what_it_does():
    assert tuple(KINDS) == MODALITIES
    assert all(inspect.getdoc(kind.apply) for kinds in KINDS.values() for kind in kinds.values())
