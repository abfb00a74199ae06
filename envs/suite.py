"""What every suite shares: one task as an environment, many tasks for training, many for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtrl.errors import require
from mtrl.types import FloatArray, Step, SuiteSpec

Observation = NDArray[np.floating[Any]]


class TaskEnv(Protocol):
    """One copy of one task. An episode is a function of the goal and the actions alone."""

    def reset(self, goal: int) -> Observation:
        """Start an episode with one of the task's goals: observation [O]."""

    def step(self, action: FloatArray) -> tuple[Observation, float, bool, bool, bool]:
        """Apply an action [A]: observation [O], reward, terminated, truncated, success at this step."""


class InProcessTrainingEnv:
    """K tasks x n copies, stepped one after the other in this process.

    Where an episode ends, ``next_obs`` keeps its true last observation and ``obs`` holds the first one
    of the next episode. Its goal is drawn uniformly from a stream that depends on the seed, the *name* of
    the task and the copy, so adding, removing or reordering tasks changes nothing for the others.

    Args:
        spec: names and sizes.
        tasks: the environments, K rows of n copies.
        seed: of the goal streams, not negative.
    """

    def __init__(self, spec: SuiteSpec, tasks: Sequence[Sequence[TaskEnv]], *, seed: int) -> None:
        self.copies = len(tasks[0])
        self._spec = spec
        self._envs = [env for row in tasks for env in row]  # K * n, copies of a task side by side
        self._labels = [(name, copy) for name in spec.task_names for copy in range(self.copies)]
        self._goals = [_goal_stream(seed, name, copy) for name, copy in self._labels]
        self._shape = (spec.num_tasks, self.copies)
        self._steps: int | None = None

    def reset(self) -> FloatArray:
        """Start every episode anew, the goal streams going on: observations [K, n, O]."""
        self._steps = 0
        obs = np.empty((len(self._envs), self._spec.obs_size), np.float32)
        for index in range(len(self._envs)):
            obs[index] = self._begin_episode(index)
        return obs.reshape(*self._shape, -1)

    def step(self, action: FloatArray) -> Step:
        """Apply actions [K, n, A] in [-1, 1]; every array of the result is new.

        Raises:
            RuntimeError: before the first :meth:`reset`.
            ValueError: for actions of another shape.
            FloatingPointError: for an action or a reward that is not finite, naming the task.
        """
        if self._steps is None:
            raise RuntimeError("step() was called before reset(): call reset() once to start the episodes")
        self._check(action)
        self._steps += 1
        count = len(self._envs)
        next_obs = np.empty((count, self._spec.obs_size), np.float32)  # [K * n, O]
        rewards, terminated, truncated, success, ended = [], [], [], [], []
        rows = action.reshape(count, -1)
        for index, env in enumerate(self._envs):
            next_obs[index], reward, done, timed_out, solved = env.step(rows[index])
            if not isfinite(reward):
                name, copy = self._labels[index]
                raise _bad_reward(reward, f"task {name}, copy {copy}, step {self._steps}")
            rewards.append(reward)
            terminated.append(done)
            truncated.append(timed_out)
            success.append(solved)
            if done or timed_out:
                ended.append(index)
        obs = next_obs.copy()
        for index in ended:
            obs[index] = self._begin_episode(index)
        return Step(
            next_obs=next_obs.reshape(*self._shape, -1),
            reward=np.array(rewards, np.float32).reshape(self._shape),
            terminated=np.array(terminated, np.bool_).reshape(self._shape),
            truncated=np.array(truncated, np.bool_).reshape(self._shape),
            success=np.array(success, np.bool_).reshape(self._shape),
            obs=obs.reshape(*self._shape, -1),
        )

    def _begin_episode(self, index: int) -> Observation:
        return self._envs[index].reset(int(self._goals[index].integers(self._spec.num_goals)))

    def _check(self, action: FloatArray) -> None:
        expected = (*self._shape, self._spec.action_size)
        if action.shape != expected:
            raise ValueError(
                f"action must have shape {expected} (tasks, copies, sizes), found {action.shape}"
            )
        finite = np.isfinite(action)
        if not finite.all():
            k, i, _ = (int(place) for place in np.argwhere(~finite)[0])
            name = self._spec.task_names[k]
            raise _bad_action(action[k, i], f"task {name}, copy {i}, step {(self._steps or 0) + 1}")


class InProcessEvaluationEnv:
    """One environment per task; the evaluator chooses task, goal and when an episode starts.

    Args:
        spec: names and sizes.
        tasks: the environments, one per task.
    """

    def __init__(self, spec: SuiteSpec, tasks: Sequence[TaskEnv]) -> None:
        self._spec = spec
        self._envs = list(tasks)
        self._steps: list[int | None] = [None] * len(tasks)  # of the running episode, None between episodes

    def reset(self, task: int, goal: int) -> FloatArray:
        """Start an episode of one task: observation [O].

        Raises:
            IndexError: for a task or a goal that the suite does not have.
        """
        for parameter, value, size in (
            ("task", task, self._spec.num_tasks),
            ("goal", goal, self._spec.num_goals),
        ):
            if not 0 <= value < size:
                raise IndexError(f"{parameter} must lie in 0..{size - 1}, found {value}")
        self._steps[task] = 0
        return np.asarray(self._envs[task].reset(goal), np.float32)  # [O]

    def step(self, task: int, action: FloatArray) -> tuple[FloatArray, float, bool, bool]:
        """Apply one action [A] in [-1, 1]: observation [O], reward, whether the episode ended, success.

        Raises:
            RuntimeError: if no episode of this task is running.
            ValueError: for an action of another shape.
            FloatingPointError: for an action or a reward that is not finite, naming the task.
        """
        name, steps = self._spec.task_names[task], self._steps[task]
        if steps is None:
            raise RuntimeError(f"task {name} has no running episode: call reset({task}, goal) first")
        where = f"task {name}, evaluation, step {steps + 1}"
        if action.shape != (self._spec.action_size,):
            raise ValueError(f"action must have shape ({self._spec.action_size},), found {action.shape}")
        if not np.isfinite(action).all():
            raise _bad_action(action, where)
        obs, reward, terminated, truncated, success = self._envs[task].step(action)
        if not isfinite(reward):
            raise _bad_reward(reward, where)
        ended = terminated or truncated
        self._steps[task] = None if ended else steps + 1
        return np.asarray(obs, np.float32), reward, ended, success


def require_integer(parameter: str, value: object, low: int, high: int, remedy: str) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is an integer from ``low`` to ``high``."""
    valid = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    require(valid, f"{parameter} must be an integer from {low} to {high}, found {value!r}; {remedy}")


def _goal_stream(seed: int, name: str, copy: int) -> np.random.Generator:
    return np.random.default_rng([seed, copy, int.from_bytes(name.encode(), "little")])


def _bad_action(action: FloatArray, where: str) -> FloatingPointError:
    # MuJoCo would reset the simulation in silence and go on with finite numbers.
    return FloatingPointError(
        f"{where}: the action must be finite, found {action.tolist()}; the policy has diverged, "
        "look at its losses and try a smaller learning rate"
    )


def _bad_reward(reward: float, where: str) -> FloatingPointError:
    return FloatingPointError(
        f"{where}: the reward must be finite, found {reward}; the simulation or the reward function broke"
    )
