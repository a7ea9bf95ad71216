"""The Factory as environments: the core wired to state, simulation, camera and captions."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gw_envs.annotated_frames import resized, with_goal
from gw_envs.core import Core
from gw_envs.env import GWEnv
from gw_envs.errors import InputError
from gw_envs.factory.camera import LARGEST, SMALLEST, FactoryCamera, project
from gw_envs.factory.contacts import ContactHistory, Moves, repeat
from gw_envs.factory.layout import are_reachable, gaps, poses_from_uniform, wall_gaps
from gw_envs.factory.sim import STEP_SECONDS, FactorySimulation, bullet
from gw_envs.factory.state import FIXED_LAYOUT, FLOOR, LANDMARKS, FactoryState
from gw_envs.goal_task import Task
from gw_envs.observation import attributes_from_values
from gw_envs.scenes import SCENES
from gw_envs.vector_env import GWVectorEnv

TASK = Task(
    goal=(0.0, 0.0, 0.0), tolerance=0.15, angle_tolerance=np.pi / 16, step=0.1, turn=np.pi / 16
)
"""The goal in the middle of the floor, and the step and turn of an action; meters and radians."""

FULL_SPEED = np.array([TASK.step, TASK.step, TASK.turn]) / STEP_SECONDS
"""Velocity at full speed, (3,): meters a second along x and y, radians a second of turn."""

DEEPEST = 0.05
"""Meters by which a user's table may overlap an obstacle; the physics pushes it out gently."""

MARGIN = 0.02
"""Meters that a planned path keeps from obstacles: a table that touches them turns."""


class FactoryCore(Core[FactoryState]):
    """N Factory scenes, each with its own simulation; one camera draws them all."""

    scene = SCENES["factory"]
    task = TASK
    layouts = ("fixed", "random")
    image_sizes = (SMALLEST, LARGEST)

    def __init__(self, **arguments: Any) -> None:
        """Check the arguments of `Core`; simulations and camera open when they are first needed."""
        super().__init__(**arguments)
        self._simulations: list[FactorySimulation] = []
        self._history = ContactHistory(self.num_envs)
        self._outdated: set[int] = set()
        """Rows whose simulation must be rebuilt before it moves."""
        self._camera = FactoryCamera(self.image_size, layouts=self.num_envs + 1)

    def check_installed(self) -> None:
        bullet()

    def extra_attributes(self) -> int:
        return 2 * len(LANDMARKS) if self.layout == "random" else 0

    def sample(self, rng: np.random.Generator, count: int = 1) -> FactoryState:
        return FactoryState.sample(rng, count, self.layout)

    def poses_from_uniform(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        return poses_from_uniform(uniform)

    def is_reachable(self, scenes: FactoryState) -> NDArray[np.bool_]:
        poses = np.stack([scenes.x, scenes.y, scenes.rotation], -1)
        return are_reachable(poses, scenes.landmarks, with_path=self.layout == "random")

    @classmethod
    def is_free(
        cls, poses: NDArray[np.float64], attributes: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        landmarks = FIXED_LAYOUT[None]
        if attributes.shape[1] > SCENES["factory"].attribute_width:
            places = attributes[:, SCENES["factory"].attribute_width :].astype(np.float64)
            landmarks = FLOOR * places.reshape(len(attributes), -1, 2)
        beside = gaps(poses, landmarks[:, None]).min(-1)
        return np.minimum(beside, wall_gaps(poses)) > MARGIN

    def check_scenes(self, scenes: FactoryState, what: str = "state") -> None:
        if self.layout == "fixed" and not (scenes.landmarks == FIXED_LAYOUT).all():
            raise InputError(
                "the state has landmarks that are not those of the layout 'fixed': "
                "make the environment with layout='random'"
            )
        poses = np.stack([scenes.x, scenes.y, scenes.rotation], -1)
        depth = -np.minimum(gaps(poses, scenes.landmarks).min(-1), wall_gaps(poses)).min()
        if depth > DEEPEST:
            raise InputError(
                f"the table of the {what} stands {depth:.2f} m deep in a wall or a landmark: "
                "give a place where it is free"
            )

    def _set_rows(self, rows: NDArray[np.int64], scenes: FactoryState) -> None:
        everything = len(rows) == self.num_envs
        self.state = scenes if everything else self.current().with_rows(rows, scenes)
        for row in rows.tolist():
            self._history.restart(row)
            self._outdated.add(row)

    def _move(
        self, commands: NDArray[np.float64], rows: NDArray[np.int64] | None
    ) -> NDArray[np.bool_]:
        state, poses = self.current(), self.poses()
        collided = np.zeros(self.num_envs, np.bool_)
        velocities = commands * FULL_SPEED
        for row in range(self.num_envs) if rows is None else rows.tolist():
            poses[row], collided[row] = self._simulation(row).step(velocities[row])
        self._history.add(state, velocities, rows)
        x, y, rotation = poses.T.copy()
        self.state = state.with_poses(x, y, rotation)
        return collided

    def _simulation(self, row: int) -> FactorySimulation:
        """Return the simulation of a row, rebuilt first if it is outdated."""
        if not self._simulations:
            self._simulations = [FactorySimulation() for _ in range(self.num_envs)]
        if row in self._outdated:
            pose, landmarks = self.poses()[row], self.current().landmarks[row]
            moves = self._history.moves(row, pose, landmarks)
            repeat(self._simulations[row], pose, landmarks, moves)
            self._outdated.remove(row)
        return self._simulations[row]

    def _contacts(self, row: int) -> Moves:
        return self._history.moves(row, self.poses()[row], self.current().landmarks[row])

    def _set_contacts(self, row: int, contacts: Moves) -> None:
        self._history.restart(row, contacts)

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the open worlds, which a copy rebuilds when it moves."""
        return {**vars(self), "_simulations": [], "_outdated": set(range(self.num_envs))}

    def images(self, state: FactoryState) -> NDArray[np.uint8]:
        return self._camera.render(state)

    def attributes(self, state: FactoryState) -> NDArray[np.float32]:
        vectors = attributes_from_values("factory", state.arrays())
        if self.layout == "fixed":
            return vectors
        places = (state.landmarks / FLOOR).reshape(len(state), -1).astype(np.float32)
        return np.concatenate([vectors, places], -1)

    def portrait(
        self, state: FactoryState, size: int, goals: NDArray[np.float64] | None = None
    ) -> NDArray[np.uint8]:
        picture = resized(self._camera.render_full(state, min(size, LARGEST))[0], size)
        angles = np.linspace(0, 2 * np.pi, 40)
        ring = self.task.tolerance * np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1)
        for x, y, rotation in [self.task.goal] if goals is None else goals:
            ahead = np.array([-np.sin(rotation), np.cos(rotation), 0.0])
            outline = np.concatenate([ring, [-0.3 * ahead, 0.45 * ahead]])
            points = project(outline + np.array([x, y, 0.0]), size)
            picture = with_goal(picture, points[:-2], points[-2], points[-1])
        return picture

    def close(self) -> None:
        super().close()
        for simulation in self._simulations:
            simulation.close()
        self._simulations = []
        self._camera.close()


class FactoryEnv(GWEnv):
    """A table on a factory floor: bring it to the middle and turn its front to the back wall.

    ## Description
    The Factory scene of Devillers, Maytié and VanRullen (arXiv 2306.15711) with the task of Maytié,
    Devillers, Arnold and VanRullen (arXiv 2403.04588), simulated in Bullet. The floor is 4 x 4
    meters, seen by a fixed camera; x grows to the right, y towards the back wall. Shelves, cones,
    crates and a docking station stand on it. The table is driven by velocities; walls and landmarks
    stop it, and it can neither tip nor climb.

    ## Observation
    A Dict of the chosen modalities:
    - `image`: (64, 64, 3) uint8, or any `image_size` of 32 to 512.
    - `attributes`: (7,) float32 in [-1, 1]: x, y, cosine and sine of the rotation, red, green,
      blue; with `layout="random"` (15,): the landmarks' x and y follow, in the order shelves,
      cones, crates, docking station.
    - `language`: (48,) int64 token ids of a caption, or the sentence with `language="text"`
      (Gymnasium's `AsyncVectorEnv` passes sentences only with `shared_memory=False`).

    ## Actions
    One step lasts 0.2 s.
    `actions="discrete"`: 0 north (away), 1 south, 2 west (left), 3 east (0.5 m/s, 0.1 m a step),
    4 turn left, 5 turn right (pi/16 a step).
    `actions="continuous"`: Box(-1, 1, (3,)): velocity along x and y in units of 0.5 m/s, turn rate
    counter-clockwise in units of pi/16 a step (0.98 rad/s).

    ## Reward
    Let d be the distance in meters from the table's center to the middle of the floor, and a the
    absolute angle in radians from facing the back wall. A step earns the progress in d over 0.1,
    plus 10/pi times the progress in a, minus 0.05, plus 5 on success (d <= 0.15 and a <= pi/16).

    ## Episode end
    Terminated on success, truncated after 100 steps (or the `max_episode_steps` given to
    `gym.make`).

    ## Info
    `is_success`; `collision`, whether something stopped the table; `caption`, the sentence, if
    language is observed; with goals, `pose_reached` and `claims_true`.

    ## Reset
    Position uniform where the table stands free, rotation uniform, color uniform in HLS.
    `layout="fixed"` puts the landmarks where the shipped models learned them; `layout="random"`
    draws places that do not overlap and leave a path to the goal.
    `reset(options={"state": {"x": 0.5, "y": -0.5}})` fixes some of the values `x`, `y`, `rotation`,
    `rgb`, `landmarks` and `wording_seed`, or all; a table inside a wall or a landmark is refused.

    ## Goals
    With `goal="image"`, `"attributes"` or `"language"`, every episode has a goal of its own: the
    same table at another place and rotation, where a table can stand at reset (with
    `layout="random"` too) and which is not reached at the start. The key `goal` shows it through
    that modality, the same for the whole episode.
    - Image and attributes: reward and success as above, with the goal's pose for the middle and the
      back wall.
    - Language: the goal is what the caption of that scene claims about place and direction. Success
      is that both claims are true, as `caption_truth` judges them. In the reward, d is the distance
      in meters from the table's center to the claimed part of the floor, a the angle in radians to
      the claimed sector; each is 0 inside. For a place beside a landmark, d is the larger of the
      distance to the places within 0.8 m of it (on the claimed side), and half of what it is
      farther away than the nearest other landmark.

    `reset(options={"goal": (0.5, -0.5, 1.5)})` gives the goal's x, y and rotation, or for language
    a caption; a goal inside a wall or a landmark, or a caption that no free pose makes true, is
    refused. A given goal may be reached from the start: the first step that ends in it ends the
    episode. `info["pose_reached"]` and `info["claims_true"]` report both criteria, whatever the
    modality: the pose within the tolerances above, and the claims true.

    ## Branching
    `env.unwrapped.get_state()` and `set_state(state)` return to an earlier point of an episode,
    contacts included; copies made by `copy.deepcopy` or `pickle` continue as the original does. A
    copy builds its own simulation when it first moves.

    ## Playing
    `gymnasium.utils.play.play(env, wait_on_player=True)` with `render_mode="rgb_array"`: w, s, a, d
    move and q, e turn. With continuous actions, `play(env, noop=env.unwrapped.noop)`.

    ## Ids
    `GWFactory-v0`.
    """

    core_type = FactoryCore
    metadata = {"render_modes": ["rgb_array", "human"], "render_fps": 5}


class FactoryVectorEnv(GWVectorEnv):
    """N Factory scenes, each with its own simulation (28 MB), as one batch; see `FactoryEnv`."""

    core_type = FactoryCore
    metadata = GWVectorEnv.metadata_for(FactoryEnv)
