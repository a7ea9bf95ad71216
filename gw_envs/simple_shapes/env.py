"""Simple Shapes as environments: the core wired to state, renderer and captions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gw_envs.annotated_frames import resized, with_goal
from gw_envs.compiled import compiled
from gw_envs.core import Core
from gw_envs.env import GWEnv
from gw_envs.goal_task import Task
from gw_envs.observation import attributes_from_values
from gw_envs.scenes import SCENES
from gw_envs.simple_shapes.render import MAX_SIZE, MIN_SIZE, render
from gw_envs.simple_shapes.state import CANVAS, PLACE_RANGE, UNIFORMS, SimpleShapesState
from gw_envs.vector_env import GWVectorEnv


class SimpleShapesCore(Core[SimpleShapesState]):
    """N Simple Shapes scenes."""

    scene = SCENES["simple_shapes"]
    task = Task(
        goal=(16.0, 16.0, 0.0), tolerance=1.0, angle_tolerance=np.pi / 16, step=1.0, turn=np.pi / 32
    )
    image_sizes = (MIN_SIZE, MAX_SIZE)

    def sample(self, rng: np.random.Generator, count: int = 1) -> SimpleShapesState:
        return SimpleShapesState.sample(rng, count)

    def sample_each(self, rngs: Sequence[np.random.Generator]) -> SimpleShapesState:
        return SimpleShapesState.from_uniform(np.stack([rng.random(UNIFORMS) for rng in rngs]))

    def jitter(self, state: SimpleShapesState, rng: np.random.Generator) -> SimpleShapesState:
        moves = rng.random((2, len(state))) - 0.5
        moves[:, ::2] = 0.0
        x = np.clip(state.x + moves[0], *PLACE_RANGE)
        y = np.clip(state.y + moves[1], *PLACE_RANGE)
        return state.with_poses(x, y, state.rotation)

    def _set_rows(self, rows: NDArray[np.int64], scenes: SimpleShapesState) -> None:
        everything = len(rows) == self.num_envs
        self.state = scenes if everything else self.current().with_rows(rows, scenes)

    def _move(
        self, commands: NDArray[np.float64], rows: NDArray[np.int64] | None
    ) -> NDArray[np.bool_]:
        state = self.current()
        x, y, rotation, stopped = _moved(
            state.x, state.y, state.rotation, commands, self.task.step, self.task.turn
        )
        self.state = state.with_poses(x, y, rotation)
        return stopped

    def images(self, state: SimpleShapesState) -> NDArray[np.uint8]:
        return render(state, self.image_size)

    def attributes(self, state: SimpleShapesState) -> NDArray[np.float32]:
        return attributes_from_values("simple_shapes", state.arrays())

    def portrait(
        self, state: SimpleShapesState, size: int, goals: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        picture = resized(render(state, min(size, MAX_SIZE))[0], size)
        angles = np.linspace(0, 2 * np.pi, 40)
        radius = self.task.tolerance
        for x, y, rotation in [self.task.goal] if goals is None else goals:
            ring = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], -1)
            ahead = np.array([-np.sin(rotation), np.cos(rotation)])
            arrow = [(x, y) - 2.0 * ahead, (x, y) + 3.0 * ahead]
            points = np.concatenate([ring, arrow]) * (1, -1) + (0, CANVAS)
            points *= size / CANVAS
            picture = with_goal(picture, points[:-2], points[-2], points[-1])
        return picture

    def poses_from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high = PLACE_RANGE
        poses = low + np.floor(uniform * (high + 1 - low))
        poses[:, 2] = uniform[:, 2] * (2 * np.pi)
        return poses

    def is_reachable(self, scenes: SimpleShapesState) -> NDArray[np.bool_]:
        low, high = PLACE_RANGE
        return (np.minimum(scenes.x, scenes.y) >= low) & (np.maximum(scenes.x, scenes.y) <= high)


@compiled()
def _moved(x, y, rotation, commands, step, turn):  # pragma: no cover - compiled
    """Move shapes (N,) by commands (N, 3), up to the edge of the square.

    Returns the new x, y and rotation, and whether the edge stopped each shape.
    """
    low, high = PLACE_RANGE
    count = len(commands)
    new_x, new_y, new_rotation = np.empty(count), np.empty(count), np.empty(count)
    stopped = np.empty(count, np.bool_)
    for n in range(count):
        wanted_x, wanted_y = commands[n, 0] * step + x[n], commands[n, 1] * step + y[n]
        new_x[n] = min(max(wanted_x, low), high)
        new_y[n] = min(max(wanted_y, low), high)
        new_rotation[n] = (rotation[n] + commands[n, 2] * turn) % (2 * np.pi)
        stopped[n] = new_x[n] != wanted_x or new_y[n] != wanted_y
    return new_x, new_y, new_rotation, stopped


class SimpleShapesEnv(GWEnv):
    """One shape on a black square: bring it to the middle and turn it to point up.

    ## Description
    The published Simple Shapes scene (Devillers, Maytié and VanRullen, arXiv 2306.15711) with the
    task of Maytié, Devillers, Arnold and VanRullen (arXiv 2403.04588). The scene is 32 x 32 pixels;
    x grows to the right, y upwards.

    ## Observation
    A Dict of the chosen modalities:
    - `image`: (32, 32, 3) uint8, or any `image_size` of 8 to 1024.
    - `attributes`: (11,) float32: shape (one-hot of diamond, egg, triangle), x, y, size, cosine and
      sine of the rotation, red, green, blue; all but the one-hot scaled to [-1, 1].
    - `language`: (48,) int64 token ids of a caption, or the sentence with `language="text"`
      (Gymnasium's `AsyncVectorEnv` passes sentences only with `shared_memory=False`).

    ## Actions
    `actions="discrete"`: 0 up, 1 down, 2 left, 3 right (one pixel), 4 turn left, 5 turn right
    (pi/32).
    `actions="continuous"`: Box(-1, 1, (3,)): along x and y in pixels a step, counter-clockwise in
    pi/32 a step.
    The center stays within [7, 24] on both axes.

    ## Reward
    Let d be the distance in pixels from the center to (16, 16), and a the absolute angle in radians
    from pointing up. A step earns the progress in d, plus 10/pi times the progress in a, minus
    0.05, plus 5 on success (d <= 1 and a <= pi/16).

    ## Episode end
    Terminated on success, truncated after 100 steps (or the `max_episode_steps` given to
    `gym.make`).

    ## Info
    `is_success`; `collision`, whether the edge stopped the shape; `caption`, the sentence, if
    language is observed; with goals, `pose_reached` and `claims_true`.

    ## Reset
    Shape uniform of 3, size 7 to 14, x and y 7 to 24 (whole numbers), rotation uniform, color
    uniform in HLS. `reset(options={"state": {"x": 10.0, "shape": 2}})` fixes some of the values
    `shape`, `x`, `y`, `size`, `rotation`, `rgb` and `wording_seed`, or all.

    ## Goals
    With `goal="image"`, `"attributes"` or `"language"`, every episode has a goal of its own: the
    same shape at another place and rotation, distributed as at reset and not reached at the start.
    The key `goal` shows it through that modality, the same for the whole episode.
    - Image and attributes: reward and success as above, with the goal's pose for (16, 16) and up.
    - Language: the goal is what the caption of that scene claims about place and direction. Success
      is that both claims are true, as `caption_truth` judges them. In the reward, d is the distance
      in pixels from the center to the claimed part of the square, a the angle in radians to the
      claimed sector; each is 0 inside.

    `reset(options={"goal": (10.0, 12.0, 1.5)})` gives the goal's x, y and rotation, or for language
    a caption. A given goal may be reached from the start: the first step that ends in it ends the
    episode. `info["pose_reached"]` and `info["claims_true"]` report both criteria, whatever the
    modality: the pose within the tolerances above, and the claims true.

    ## Branching
    `env.unwrapped.get_state()` and `set_state(state)` return to an earlier point of an episode;
    copies made by `copy.deepcopy` or `pickle` continue as the original does.

    ## Playing
    `gymnasium.utils.play.play(env, wait_on_player=True)` with `render_mode="rgb_array"`: w, s, a, d
    move and q, e turn. With continuous actions, `play(env, noop=env.unwrapped.noop)`.

    ## Ids
    `GWSimpleShapes-v0`.
    """

    core_type = SimpleShapesCore
    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 15}


class SimpleShapesVectorEnv(GWVectorEnv):
    """N Simple Shapes scenes moved and drawn as one batch; see `SimpleShapesEnv`."""

    core_type = SimpleShapesCore
    metadata = GWVectorEnv.metadata_for(SimpleShapesEnv)
