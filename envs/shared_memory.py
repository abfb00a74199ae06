"""Lays out N environments' commands and results in memory that processes share, and steps them there.

Worker processes import this module but never PyTorch: nothing here may import a module that does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Observation = NDArray[np.floating[Any]]


class TaskStep(NamedTuple):
    """Reports what became of an action in one environment."""

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


UNOWNED = -1  # the owner of a slot that no worker steps
IDLE = -1  # the slot of a worker that is at none
Recipe = Callable[[], TaskEnv]  # builds a new environment of one task; picklable where workers use it


class Command(IntEnum):
    """Says what the environment of a slot is to do next."""

    REST = 0
    RESET = 1  # to the slot's goal
    STEP = 2
    STEP_ON = 3  # and where that ends the episode, reset to the slot's goal


REST, RESET, STEP_ON = int(Command.REST), int(Command.RESET), int(Command.STEP_ON)  # the enumeration is slow


class SharedMemory:
    """Holds the commands and results of N environments, each in a slot, in one block of memory.

    Args:
        buffer: zeros, of :meth:`size` bytes; shared, where workers step the environments.
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
        self.owner: NDArray[np.int32] = arrays["owner"]  # [N], the worker that steps the slot, or UNOWNED
        self.task: NDArray[np.int32] = arrays["task"]  # [N]
        self.goal: NDArray[np.int32] = arrays["goal"]  # [N]
        self.busy: NDArray[np.int32] = arrays["busy"]  # [W], the slot that a worker is at, or IDLE
        self.command: NDArray[np.uint8] = arrays["command"]  # [N]
        self.terminated: NDArray[np.bool_] = arrays["terminated"]  # [N]
        self.truncated: NDArray[np.bool_] = arrays["truncated"]  # [N]
        self.success: NDArray[np.bool_] = arrays["success"]  # [N], at this step

    def part(self, first: int, stop: int) -> SharedMemory:
        """The same memory, as far as it belongs to the slots from ``first`` to ``stop``."""
        found = copy(self)
        for name, array in vars(self).items():
            setattr(found, name, array if name == "busy" else array[first:stop])
        return found

    @staticmethod
    def size(count: int, workers: int, obs_size: int, action_size: int) -> int:
        """Count the bytes of the block."""
        fields = _fields(count, workers, obs_size, action_size).values()
        return sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for dtype, shape in fields)


def _fields(count: int, workers: int, obs_size: int, action_size: int) -> dict[str, tuple[Any, Any]]:
    """List types and shapes, the widest types first so that each array is aligned."""
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
    """Owns the environments of one worker's slots and carries out the slots' commands.

    An environment is built when its slot is first reset, replaced when the slot is given to another task, and
    dropped when the slot is given to another worker.

    Args:
        recipes: one per task.
        memory: shared with whoever commands.
        worker: index of this worker.
    """

    def __init__(self, recipes: Sequence[Recipe], memory: SharedMemory, worker: int) -> None:
        self._recipes = recipes
        self._memory = memory
        self._worker = worker
        self._envs: dict[int, tuple[int, TaskEnv]] = {}  # by slot, with the index of the task

    def advance(self) -> None:
        """Carry out every command of this worker's slots once."""
        memory, worker = self._memory, self._worker
        mine = memory.owner == worker
        for slot in [slot for slot in self._envs if not mine[slot]]:
            del self._envs[slot]
        commands = memory.command.tolist()
        for slot in np.flatnonzero(mine & (memory.command != REST)).tolist():
            memory.busy[worker] = slot
            if commands[slot] == RESET:
                env = self._env(slot)
                memory.obs[slot] = self._observed(env, "reset", env.reset(int(memory.goal[slot])))
            else:
                self._step(slot, commands[slot] == STEP_ON)
        memory.busy[worker] = IDLE

    def _step(self, slot: int, on: bool) -> None:
        memory = self._memory
        env = self._envs[slot][1]
        obs, reward, terminated, truncated, success = env.step(memory.action[slot])
        obs = self._observed(env, "step", obs)
        memory.next_obs[slot] = obs
        memory.reward[slot] = reward
        memory.terminated[slot] = terminated
        memory.truncated[slot] = truncated
        memory.success[slot] = success
        if on and (terminated or truncated):
            obs = self._observed(env, "reset", env.reset(int(memory.goal[slot])))
        memory.obs[slot] = obs

    def _observed(self, env: TaskEnv, method: str, obs: Observation) -> Observation:
        """Check a shape that NumPy might stretch without a word."""
        if np.shape(obs) != self._memory.obs.shape[1:]:
            wanted, found = list(self._memory.obs.shape[1:]), list(np.shape(obs))
            raise ValueError(
                f"{type(env).__module__}.{type(env).__qualname__}.{method} must give an observation of shape "
                f"{wanted}, the obs_size of the suite's spec, found {found}"
            )
        return obs

    def _env(self, slot: int) -> TaskEnv:
        task = int(self._memory.task[slot])
        held = self._envs.get(slot)
        if held is None or held[0] != task:
            self._envs.pop(slot, None)  # before the next one takes its memory
            held = self._envs[slot] = (task, self._recipes[task]())
        return held[1]
