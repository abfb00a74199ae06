"""Steps the K tasks of a suite, for training and for evaluation, here or in worker processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mtrl.envs.episode_log import EpisodeLog
from mtrl.envs.nonfinite import nonfinite_action, nonfinite_reward
from mtrl.envs.shared_memory import UNOWNED, Command, Recipe
from mtrl.envs.vector import Vector, location, open_vector
from mtrl.errors import EpisodesLostError
from mtrl.types import EvaluationStep, FloatArray, Step, SuiteSpec

SLOTS = 20  # episodes at a time in an evaluation of fewer tasks: a forward pass for few costs as much


class SuiteTrainingEnv:
    """K tasks x n copies.

    Where an episode ends, ``next_obs`` keeps its true last observation and ``obs`` holds the first one
    of the next episode. Its goal is drawn uniformly from a stream that depends on the seed, the *name* of
    the task and the copy, so adding, removing or reordering tasks changes nothing for the others, and
    neither does the number of workers.

    Args:
        spec: names and sizes.
        recipes: one per task; each is called once per copy.
        copies: n.
        seed: of the goal streams, not negative.
        workers: processes; 0 steps the environments in this one.
        note: what a person should know of them when training starts.
    """

    def __init__(
        self, spec: SuiteSpec, recipes: Sequence[Recipe], *, copies: int, seed: int, workers: int = 0,
        note: str = "",
    ) -> None:  # fmt: skip
        self.copies = copies
        self._note = note
        self._spec = spec
        self._labels = [(name, copy) for name in spec.task_names for copy in range(copies)]
        self._shape = (spec.num_tasks, copies)
        self._steps = 0  # since the last reset, for messages
        self._running = False  # whether every slot has an episode that a step can go on with
        sizes = (len(self._labels), workers, spec.obs_size, spec.action_size)
        self._vector = open_vector(recipes, *sizes, self._name)
        memory = self._vector.memory
        memory.owner[:] = np.arange(len(self._labels)) % max(workers, 1)
        memory.task[:] = np.repeat(np.arange(spec.num_tasks), copies)  # copies of a task side by side
        streams = [goal_stream(seed, name, copy) for name, copy in self._labels]
        self._episodes = EpisodeLog(streams, spec.num_goals, memory.goal, spec.horizon, spec.action_size)

    def reset(self) -> FloatArray:
        """Start every episode anew, the goal streams going on: observations [K, n, O].

        Raises:
            EnvironmentFailedError: see :meth:`receive`.
        """
        memory = self._vector.memory
        while True:
            self._steps = 0
            memory.command[:] = Command.RESET
            try:
                self._vector.send()
                self._vector.receive()
            except EpisodesLostError:
                continue  # ends, since no worker is replaced twice
            self._episodes.begin(np.ones(len(self._labels), np.bool_))
            self._running = True
            return self._obs()

    def send(self, action: FloatArray) -> None:
        """Begin to apply actions [K, n, A] in [-1, 1]; :meth:`receive` must follow.

        Raises:
            RuntimeError: before the first :meth:`reset`.
            ValueError: for actions of another shape.
            FloatingPointError: for an action that is not finite, naming the task.
        """
        if not self._running:
            raise RuntimeError("send() was called before reset(): call reset() once to start the episodes")
        self._check(action)
        self._steps += 1
        memory = self._vector.memory
        memory.action[:] = action.reshape(len(self._labels), -1)
        memory.command[:] = Command.STEP_ON
        self._vector.send()

    def receive(self) -> Step:
        """The outcome of the actions that were sent; every array of the result is new.

        Raises:
            EpisodesLostError: if a worker ended and was replaced: the step is lost, call :meth:`reset`.
            EnvironmentFailedError: if an environment failed for good, naming the task.
            FloatingPointError: for a reward that is not finite, naming the task.
        """
        self._running = False  # unless the step succeeds
        self._vector.receive()
        memory = self._vector.memory
        if not np.isfinite(memory.reward).all():
            slot = int(np.flatnonzero(~np.isfinite(memory.reward))[0])
            raise nonfinite_reward(memory.reward[slot], f"{self._name(slot)}, step {self._steps}")
        self._episodes.add(memory.action)
        self._episodes.begin(memory.terminated | memory.truncated)
        self._running = True
        return Step(
            next_obs=memory.next_obs.reshape(*self._shape, -1).copy(),
            reward=memory.reward.reshape(self._shape).astype(np.float32),
            terminated=memory.terminated.reshape(self._shape).copy(),
            truncated=memory.truncated.reshape(self._shape).copy(),
            success=memory.success.reshape(self._shape).copy(),
            obs=self._obs(),
        )

    def step(self, action: FloatArray) -> Step:
        """:meth:`send` and :meth:`receive`."""
        self.send(action)
        return self.receive()

    def summary(self) -> str:
        """Where the environments live, for a person."""
        text = f"environments: {self._spec.num_tasks} tasks x {self.copies}, {location(self._vector)}"
        return f"{text}; {self._note}" if self._note else text

    def close(self) -> None:
        """End the workers; a second call does nothing."""
        self._vector.close()

    def state_dict(self) -> dict[str, Any]:
        """The episodes in flight and the streams of goals; not between :meth:`send` and :meth:`receive`."""
        return {"running": self._running, "steps": self._steps, **self._episodes.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> FloatArray | None:
        """Play the episodes of a :meth:`state_dict` again up to where they were.

        Returns:
            What to act on next, [K, n, O]; None if no episodes were running: call :meth:`reset`.

        Raises:
            EnvironmentFailedError: see :meth:`receive`.
        """
        self._episodes.load_state_dict(state)
        self._steps, self._running = state["steps"], state["running"]
        while self._running:
            try:
                self._play()
            except EpisodesLostError:
                continue  # ends, since no worker is replaced twice
            return self._obs()
        return None

    def _play(self) -> None:
        """Bring every slot from the start of its episode to its last action."""
        memory, episodes = self._vector.memory, self._episodes
        following = memory.goal.copy()  # [N]
        memory.goal[:] = episodes.goal
        memory.command[:] = Command.RESET
        try:
            for step in range(episodes.length.max() + 1):
                self._vector.send()
                self._vector.receive()
                going_on = episodes.length > step
                memory.command[:] = np.where(going_on, Command.STEP, Command.REST)
                if going_on.any():
                    memory.action[:] = episodes.actions[:, step]
        finally:
            memory.goal[:] = following

    def _obs(self) -> FloatArray:
        return self._vector.memory.obs.reshape(*self._shape, -1).copy()  # [K, n, O]

    def _name(self, slot: int) -> str:
        name, copy = self._labels[slot]
        return f"task {name}, copy {copy}"

    def _check(self, action: FloatArray) -> None:
        expected = (*self._shape, self._spec.action_size)
        if action.shape != expected:
            raise ValueError(
                f"action must have shape {expected} (tasks, copies, sizes), found {action.shape}"
            )
        finite = np.isfinite(action)
        if not finite.all():
            k, i, _ = (int(place) for place in np.argwhere(~finite)[0])
            where = f"{self._name(k * self.copies + i)}, step {self._steps + 1}"
            raise nonfinite_action(action[k, i], where)


class SuiteEvaluationEnv:
    """S slots, each with room for one episode of any task.

    A slot keeps its environment from episode to episode and builds another one only when it goes on to
    another task, so there are never more than S. It then moves to the worker that has least to do.

    Args:
        spec: names and sizes.
        recipes: one per task.
        workers: processes; 0 steps the environments in this one. More than S would have nothing to do.
    """

    def __init__(self, spec: SuiteSpec, recipes: Sequence[Recipe], *, workers: int = 0) -> None:
        self.slots = max(spec.num_tasks, SLOTS)
        self._spec = spec
        self._recipes = recipes
        self._wanted = min(workers, self.slots)
        self._opened: Vector | None = None
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


def goal_stream(seed: int, name: str, copy: int) -> np.random.Generator:
    """What the goals of a copy of a task are drawn from, whatever the other tasks are."""
    return np.random.default_rng([seed, copy, int.from_bytes(name.encode(), "little")])
