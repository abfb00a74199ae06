"""Environments as rows of arrays, which this process or another one steps.

Worker processes import this module but never PyTorch: nothing here may import mtrl, which does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.floating[Any]]


class TaskStep(NamedTuple):
    """What became of an action in one environment."""

    obs: Observation  # [O]
    reward: float
    terminated: bool  # the task itself ended: nothing is to be gained after this
    truncated: bool  # a time limit ended the episode: what would have followed still counts
    success: bool  # at this step


class TaskEnv(Protocol):
    """One copy of one task. An episode is a function of the goal and the actions alone."""

    def reset(self, goal: int) -> Observation:
        """Start an episode with one of the task's goals: observation [O]."""

    def step(self, action: NDArray[np.float32]) -> TaskStep:
        """Apply an action [A]."""


NONE = -1  # no row, no worker
Recipe = Callable[[], TaskEnv]  # builds a new environment of one task; picklable where workers use it


class Command(IntEnum):
    """What a row is to do next."""

    REST = 0
    RESET = 1  # to the row's goal
    STEP = 2
    STEP_ON = 3  # and where that ends the episode, reset to the row's goal


REST, RESET, STEP_ON = int(Command.REST), int(Command.RESET), int(Command.STEP_ON)  # the enumeration is slow


class Rows:
    """N environments' commands and results, side by side in one block of memory.

    Args:
        buffer: zeros, of :meth:`size` bytes; shared, where workers step the rows.
        count: N.
        workers: W, at least 1.
        obs_size: O.
        action_size: A.
    """

    def __init__(self, buffer: Any, count: int, workers: int, obs_size: int, action_size: int) -> None:
        fields = _fields(count, workers, obs_size, action_size)
        arrays, offset = {}, 0
        for name, (dtype, shape) in fields.items():
            arrays[name] = np.ndarray(shape, dtype, buffer, offset)
            offset += arrays[name].nbytes
        self.reward: NDArray[np.float64] = arrays["reward"]  # [N]
        self.action: NDArray[np.float32] = arrays["action"]  # [N, A]
        self.obs: NDArray[np.float32] = arrays["obs"]  # [N, O], what to act on next
        self.next_obs: NDArray[np.float32] = arrays["next_obs"]  # [N, O], the outcome of the action
        self.owner: NDArray[np.int32] = arrays["owner"]  # [N], the worker that steps the row, or NONE
        self.task: NDArray[np.int32] = arrays["task"]  # [N]
        self.goal: NDArray[np.int32] = arrays["goal"]  # [N]
        self.busy: NDArray[np.int32] = arrays["busy"]  # [W], the row that a worker is at, or NONE
        self.command: NDArray[np.uint8] = arrays["command"]  # [N]
        self.terminated: NDArray[np.bool_] = arrays["terminated"]  # [N]
        self.truncated: NDArray[np.bool_] = arrays["truncated"]  # [N]
        self.success: NDArray[np.bool_] = arrays["success"]  # [N], at this step

    @staticmethod
    def size(count: int, workers: int, obs_size: int, action_size: int) -> int:
        """Bytes of the block."""
        fields = _fields(count, workers, obs_size, action_size).values()
        return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for dtype, shape in fields)


def _fields(count: int, workers: int, obs_size: int, action_size: int) -> dict[str, tuple[Any, Any]]:
    """Types and shapes, the widest types first so that each array is aligned."""
    return {
        "reward": (np.float64, (count,)),
        "action": (np.float32, (count, action_size)),
        "obs": (np.float32, (count, obs_size)),
        "next_obs": (np.float32, (count, obs_size)),
        "owner": (np.int32, (count,)),
        "task": (np.int32, (count,)),
        "goal": (np.int32, (count,)),
        "busy": (np.int32, (workers,)),
        "command": (np.uint8, (count,)),
        "terminated": (np.bool_, (count,)),
        "truncated": (np.bool_, (count,)),
        "success": (np.bool_, (count,)),
    }


class Stepper:
    """Owns the environments of one worker's rows and does what the rows command.

    An environment is built when its row is first reset, replaced when the row is given to another task, and
    dropped when the row is given to another worker.

    Args:
        recipes: one per task.
        rows: shared with whoever commands.
        worker: index of this worker.
    """

    def __init__(self, recipes: Sequence[Recipe], rows: Rows, worker: int) -> None:
        self._recipes = recipes
        self._rows = rows
        self._worker = worker
        self._envs: dict[int, tuple[int, TaskEnv]] = {}  # by row, with the index of the task

    def advance(self) -> None:
        """Carry out every command of this worker's rows once."""
        rows, worker = self._rows, self._worker
        mine = rows.owner == worker
        for row in [row for row in self._envs if not mine[row]]:
            del self._envs[row]
        commands = rows.command.tolist()
        for row in np.flatnonzero(mine & (rows.command != REST)).tolist():
            rows.busy[worker] = row
            if commands[row] == RESET:
                rows.obs[row] = self._env(row).reset(int(rows.goal[row]))
            else:
                self._step(row, commands[row] == STEP_ON)
        rows.busy[worker] = NONE

    def _step(self, row: int, on: bool) -> None:
        rows = self._rows
        env = self._envs[row][1]
        obs, reward, terminated, truncated, success = env.step(rows.action[row])
        rows.next_obs[row] = obs
        rows.reward[row] = reward
        rows.terminated[row] = terminated
        rows.truncated[row] = truncated
        rows.success[row] = success
        if on and (terminated or truncated):
            obs = env.reset(int(rows.goal[row]))
        rows.obs[row] = obs

    def _env(self, row: int) -> TaskEnv:
        task = int(self._rows.task[row])
        held = self._envs.get(row)
        if held is None or held[0] != task:
            self._envs.pop(row, None)  # before the next one takes its memory
            held = self._envs[row] = (task, self._recipes[task]())
        return held[1]
