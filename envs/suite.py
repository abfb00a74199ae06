"""Steps the K tasks of a suite for training, here or in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtrl.envs.episode_log import EpisodeLog
from mtrl.envs.nonfinite import nonfinite_action, nonfinite_reward
from mtrl.envs.shared_memory import Command, Recipe
from mtrl.envs.suite_evaluation import SuiteEvaluationEnv, evaluation_slots
from mtrl.envs.vector import Vector, location, open_vector
from mtrl.envs.workers import SlotName
from mtrl.errors import EnvironmentFailedError, EpisodesLostError, endless
from mtrl.types import FloatArray, Step, SuiteSpec
from mtrl.validation import MAX_FLOAT

__all__ = ["SuiteEvaluationEnv", "SuiteTrainingEnv"]


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

        self._vector = open_vector(recipes, *sizes, self._name, spare=evaluation_slots(spec))
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
        fits = np.abs(memory.reward) <= MAX_FLOAT  # false for NaN
        if not fits.all():
            slot = int(np.flatnonzero(~fits)[0])
            raise nonfinite_reward(memory.reward[slot], f"{self._name(slot)}, step {self._steps}")
        ended = memory.terminated | memory.truncated
        late = ~ended & (self._episodes.length + 1 >= self._spec.horizon)
        if late.any():
            name, copy = self._labels[int(np.flatnonzero(late)[0])]
            raise EnvironmentFailedError(endless(f"{name}, copy {copy}", self._spec.horizon))
        self._episodes.add(memory.action)
        self._episodes.begin(ended)
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

    def spare(self, name: SlotName) -> Vector | None:
        """The slots of its workers that are for evaluations; None without workers, or if they are taken."""
        return self._vector.spare(name)

    def close(self) -> None:
        """End the workers, unless evaluations need them; a second call does nothing."""
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


def goal_stream(seed: int, name: str, copy: int) -> np.random.Generator:
    """What the goals of a copy of a task are drawn from, whatever the other tasks are."""
    return np.random.default_rng([seed, copy, int.from_bytes(name.encode(), "little")])
