"""Steps the K tasks of a suite for evaluation, here or in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mtrl.envs.nonfinite import nonfinite_action, nonfinite_reward
from mtrl.envs.shared_memory import UNOWNED, Command, Recipe
from mtrl.envs.vector import Vector, open_vector
from mtrl.envs.workers import SlotName
from mtrl.errors import EpisodesLostError
from mtrl.types import EvaluationStep, FloatArray, SuiteSpec

SLOTS = 20  # episodes at a time in an evaluation of fewer tasks: a forward pass for few costs as much


def evaluation_slots(spec: SuiteSpec) -> int:
    """S, how many episodes an evaluation has room for."""
    return max(spec.num_tasks, SLOTS)


class SuiteEvaluationEnv:
    """S slots, each with room for one episode of any task.

    A slot keeps its environment from episode to episode and builds another one only when it goes on to
    another task, so there are never more than S. It then moves to the worker that has least to do.

    Args:
        spec: names and sizes.
        recipes: one per task.
        workers: processes; 0 steps the environments in this one. More than S would have nothing to do.
        lend: gives S slots of the training environments' workers, which then take turns: that saves the
            memory of as many processes. None for workers of its own.
    """

    def __init__(
        self, spec: SuiteSpec, recipes: Sequence[Recipe], *, workers: int = 0,
        lend: Callable[[SlotName], Vector | None] | None = None,
    ) -> None:  # fmt: skip
        self.slots = evaluation_slots(spec)
        self._spec = spec
        self._recipes = recipes
        self._wanted = min(workers, self.slots)
        self._opened: Vector | None = None if lend is None else lend(self._name)
        self._steps = np.zeros(self.slots, np.int64)  # [S], of the running episode
        self._running = np.zeros(self.slots, np.bool_)  # [S]

    @property
    def _vector(self) -> Vector:
        """Workers start when the first evaluation does, so that training need not wait for them."""
        if self._opened is None:
            sizes = (self.slots, self._wanted, self._spec.obs_size, self._spec.action_size)
            self._opened = open_vector(self._recipes, *sizes, self._name)
            self._opened.memory.owner[:] = UNOWNED
        return self._opened

    def advance(
        self, starts: Mapping[int, tuple[int, int]], actions: Mapping[int, FloatArray]
    ) -> EvaluationStep:
        """Begin episodes in some slots and make one step in others; the rest stand still.

        Args:
            starts: slot to (task, goal). An episode that was running there is given up.
            actions: slot to action [A] in [-1, 1].

        Raises:
            IndexError: for a task or a goal that the suite does not have.
            RuntimeError: for an action where no episode is running.
            ValueError: for an action of another shape.
            FloatingPointError: for an action or a reward that is not finite, naming the task.
            EpisodesLostError: if a worker ended and was replaced: every running episode must start again.
            EnvironmentFailedError: if an environment failed for good, naming the task.
        """
        memory = self._vector.memory
        memory.command[:] = Command.REST
        for slot, action in actions.items():
            self._check(slot, action)
            memory.command[slot] = Command.STEP
            memory.action[slot] = action
        for slot, (task, goal) in starts.items():
            self._begin(slot, task, goal)
        stepped, begun = list(actions), list(starts)
        try:
            self._vector.send()
            self._vector.receive()
        except EpisodesLostError:
            self._running[:] = False
            raise
        self._running[begun] = True
        self._steps[begun] = 0
        self._steps[stepped] += 1
        for slot in stepped:
            if not np.isfinite(memory.reward[slot]):
                raise nonfinite_reward(memory.reward[slot], f"{self._name(slot)}, step {self._steps[slot]}")
        ended = memory.terminated | memory.truncated
        self._running[[slot for slot in stepped if ended[slot]]] = False
        return EvaluationStep(memory.obs.copy(), memory.reward.copy(), ended, memory.success.copy())

    def close(self) -> None:
        """End the workers; a second call does nothing."""
        if self._opened is not None:
            self._opened.close()

    def _begin(self, slot: int, task: int, goal: int) -> None:
        for parameter, value, size in (
            ("task", task, self._spec.num_tasks),
            ("goal", goal, self._spec.num_goals),
        ):
            if not 0 <= value < size:
                raise IndexError(f"{parameter} must lie in 0..{size - 1}, found {value}")
        memory = self._vector.memory
        memory.command[slot] = Command.RESET
        memory.goal[slot] = goal
        if memory.owner[slot] == UNOWNED or memory.task[slot] != task:
            memory.task[slot] = task
            memory.owner[slot] = UNOWNED
            active = memory.owner[memory.command != Command.REST]
            loads = np.bincount(active[active != UNOWNED], minlength=max(self._vector.workers, 1))
            memory.owner[slot] = loads.argmin()

    def _name(self, slot: int) -> str:
        return f"task {self._spec.task_names[int(self._vector.memory.task[slot])]}, evaluation"

    def _check(self, slot: int, action: FloatArray) -> None:
        if not self._running[slot]:
            raise RuntimeError(f"slot {slot} has no running episode: start one first")
        if action.shape != (self._spec.action_size,):
            raise ValueError(f"action must have shape ({self._spec.action_size},), found {action.shape}")
        if not np.isfinite(action).all():
            raise nonfinite_action(action, f"{self._name(slot)}, step {self._steps[slot] + 1}")
