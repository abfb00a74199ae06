"""Defines a multi-task point mass that needs no simulator and is learnt in seconds."""

from __future__ import annotations

from functools import partial
from math import cos, hypot, pi, sin
from typing import Any

import numpy as np

from mtrl.envs.counts import require_environments
from mtrl.envs.shared_memory import Observation, Recipe, TaskStep
from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.types import FloatArray, SuiteSpec
from mtrl.validation import require_integer

STEP = 0.15  # the way of one step at velocity 1
INERTIA = 0.3  # the share of the velocity that the next step keeps
WALL = 1.5  # the walls stand at -WALL and WALL
SUCCESS_RADIUS = 0.2
MAX_ENVIRONMENTS = 10_000  # whose actions of an episode must fit into the memory
REWARD_SCALE = 2.0  # large enough that learning does not wait for SAC's temperature to fall


class PointMassTask:
    """A point that starts at the origin and is pushed to a goal, by actions turned by the task's angle.

    Observation [6]: position, velocity, goal - position. Action [2] in [-1, 1]. The reward is
    2 * (1 - distance to the goal), from -4.3 to 2. Success: the point is within 0.2 of the goal.

    Args:
        angle: by which the task turns actions, in radians.
        goals: [G, 2], within 1 of the origin.
        horizon: steps after which an episode is truncated.
    """

    def __init__(self, angle: float, goals: FloatArray, horizon: int) -> None:
        self._cos, self._sin = cos(angle), sin(angle)
        self._goals = goals
        self._horizon = horizon

    def reset(self, goal: int) -> Observation:
        """Start at the origin, at rest: observation [6]."""
        self._goal_x, self._goal_y = (float(v) for v in self._goals[goal])
        self._x = self._y = self._vx = self._vy = 0.0
        self._time = 0
        return self._observe()

    def step(self, action: FloatArray) -> TaskStep:
        """Apply an action [2]; only the time limit ends an episode."""
        # Scalars, not arrays: numpy's overhead on two numbers is ten times the arithmetic.
        push_x, push_y = (min(1.0, max(-1.0, v)) for v in action.tolist())
        turned_x = self._cos * push_x - self._sin * push_y
        turned_y = self._sin * push_x + self._cos * push_y
        self._x, self._vx = _move(self._x, self._vx, turned_x)
        self._y, self._vy = _move(self._y, self._vy, turned_y)
        self._time += 1
        distance = hypot(self._goal_x - self._x, self._goal_y - self._y)
        reward = REWARD_SCALE * (1.0 - distance)
        truncated, success = self._time >= self._horizon, distance < SUCCESS_RADIUS
        return TaskStep(self._observe(), reward, False, truncated, success)

    def _observe(self) -> Observation:
        to_goal = (self._goal_x - self._x, self._goal_y - self._y)
        return np.array((self._x, self._y, self._vx, self._vy, *to_goal), np.float32)


class PointMassSuite:
    """K point-mass tasks whose actions are turned by 0, 1/K, 2/K, ... of a full turn.

    The same action moves the point in different directions, so the tasks' gradients conflict, and a policy
    that is not told the task cannot solve them.

    Args:
        seed: of the goals and of the order in which training visits them.
        tasks: how many, K.
        copies: training environments per task.
        horizon: steps after which an episode is truncated.
        num_goals: goals per task, drawn once from the seed and the task.

    Raises:
        UsageError: for an argument that is not acceptable.
    """

    def __init__(
        self, *, seed: int, tasks: int = 4, copies: int = 1, horizon: int = 30, num_goals: int = 50
    ) -> None:
        self._seed = require_integer("seed", seed, 0, 2**32 - 1, "choose a small number such as 0")
        tasks = require_integer("tasks", tasks, 1, 1000, "4 is usual")
        self._copies = require_environments(tasks, copies, MAX_ENVIRONMENTS)
        horizon = require_integer("horizon", horizon, 1, 10_000, "30 is usual, a goal is up to 8 steps away")
        num_goals = require_integer("num_goals", num_goals, 1, 100_000, "50 is usual")
        names = tuple(f"turn-{360 * k / tasks:g}" for k in range(tasks))  # the angle in degrees
        self.spec = SuiteSpec(names, obs_size=6, action_size=2, horizon=horizon, num_goals=num_goals)

    def training_env(self) -> SuiteTrainingEnv:
        """New environments, K tasks x n copies, in this process: a step is cheaper than a message."""
        return SuiteTrainingEnv(self.spec, self._recipes(), copies=self._copies, seed=self._seed)

    def evaluation_env(self) -> SuiteEvaluationEnv:
        """New environments, apart from those of training."""
        return SuiteEvaluationEnv(self.spec, self._recipes())

    def describe(self) -> dict[str, Any]:
        """Facts for the run's manifest, as plain JSON values."""
        return {
            "suite": "point_mass",
            "tasks": list(self.spec.task_names),
            "horizon": self.spec.horizon,
            "goals_per_task": self.spec.num_goals,
            "goals": f"uniform on a ring of radius 0.5 to 1, from (seed={self._seed}, task name)",
            "goal_order": "uniform with replacement, one stream per (seed, task name, copy)",
            "success": f"within {SUCCESS_RADIUS} of the goal at a step",
            "copies": self._copies,
        }

    def _recipes(self) -> list[Recipe]:
        return [partial(self._task, k) for k in range(self.spec.num_tasks)]

    def _task(self, k: int) -> PointMassTask:
        angle = 2 * pi * k / self.spec.num_tasks
        goals = _ring(self._seed, self.spec.task_names[k], self.spec.num_goals)
        return PointMassTask(angle, goals, self.spec.horizon)


def _ring(seed: int, name: str, count: int) -> FloatArray:
    """Points uniform between radius 0.5 and 1, [count, 2]: none is near the start, all can be reached."""
    uniform = np.random.default_rng([seed, *name.encode()]).random((count, 2))
    radius = np.sqrt(0.25 + 0.75 * uniform[:, 0])
    angle = 2 * pi * uniform[:, 1]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)


def _move(position: float, velocity: float, push: float) -> tuple[float, float]:
    """Position and velocity along one axis after one step; a wall stops the point."""
    velocity = INERTIA * velocity + (1 - INERTIA) * push
    position += STEP * velocity
    if abs(position) > WALL:
        return max(-WALL, min(WALL, position)), 0.0
    return position, velocity
