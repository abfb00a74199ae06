"""Plays K tasks in C worlds each on one device, for training and for evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl.envs.metaworld.warp.resets import STATE_FIELDS
from mtrl.envs.metaworld.warp.simulation import Simulation
from mtrl.envs.metaworld.warp.task_worlds import TaskWorlds
from mtrl.envs.suite import goal_stream
from mtrl.errors import require
from mtrl.types import SuiteSpec


class WarpVector:
    """Holds K x C worlds whose tensors stay where they are; see :class:`mtrl.types.DeviceEnv`.

    All episodes begin together and end at the horizon, so that the host knows when without asking. The goals
    of copy c of a task come from the stream of that copy in :class:`~mtrl.envs.suite.SuiteTrainingEnv`.

    Args:
        spec: names and sizes.
        tasks: one per task, of C worlds.
        copies: C.
        seed: of the goal streams.
        device: where the worlds live.
    """

    def __init__(
        self, spec: SuiteSpec, tasks: Sequence[TaskWorlds], *, copies: int, seed: int, device: torch.device
    ) -> None:  # fmt: skip
        self.copies = copies
        self._spec = spec
        self._tasks = tasks
        self._device = device
        self._simulation = Simulation([task.simulate for task in tasks], device)
        shape = (spec.num_tasks, copies)
        self.obs = torch.zeros(*shape, spec.obs_size, device=device)  # [K, C, O], what to act on next
        self.next_obs = torch.zeros_like(self.obs)  # [K, C, O], the outcome of the action
        self.action = torch.zeros(*shape, spec.action_size, device=device)  # [K, C, A]
        self.reward = torch.zeros(shape, device=device)  # [K, C]
        self.success = torch.zeros(shape, dtype=torch.bool, device=device)  # [K, C]
        self._goal = torch.zeros(shape, dtype=torch.int64, device=device)  # [K, C], of the running episodes
        self._streams = [[goal_stream(seed, name, c) for c in range(copies)] for name in spec.task_names]
        self._length = 0  # steps of the running episodes
        self._running = False

    @property
    def begun(self) -> bool:
        """Whether no step was made since episodes began."""
        return self._length == 0

    @property
    def last(self) -> bool:
        """Whether the next step ends all episodes."""
        return self._length + 1 == self._spec.horizon

    def reset(self) -> Tensor:
        """Begin every episode anew, with the next goals of the streams: ``obs``."""
        self._draw()
        self.begin()
        self._length, self._running = 0, True
        return self.obs

    def begin_at(self, goal: Tensor) -> None:
        """Begin every episode anew, with goals [K, C]."""
        self._goal.copy_(goal)
        self.begin()
        self._length, self._running = 0, True

    def begin(self) -> None:
        """Begin episodes with the goals in place. May be recorded, like :meth:`act` and :meth:`observe`."""
        for k, task in enumerate(self._tasks):
            self.obs[k].copy_(task.begin(self._goal[k]))

    def act(self) -> None:
        """Take up what is in ``action``."""
        for task, action in zip(self._tasks, self.action, strict=True):
            task.act(action)

    def simulate(self) -> None:
        """Let time pass, and count it; draw goals where episodes end. Records itself.

        What is launched before :meth:`join` runs beside it, and must not touch the worlds.
        """
        require(
            self._running, "simulate() was called before reset(): call reset() once to start the episodes"
        )
        self._simulation()
        self._length += 1
        if self._length == self._spec.horizon:
            self._length = 0
            self._draw()

    def join(self) -> None:
        """Have what is launched next wait until time has passed."""
        self._simulation.join()

    def observe(self, last: bool) -> None:
        """Write what the actions led to, and begin episodes anew after the ``last`` step.

        The goals in place are those of the next episodes then: they are drawn already.
        """
        for k, task in enumerate(self._tasks):
            obs, reward, success = task.observe(self.action[k])
            self.next_obs[k].copy_(obs)
            self.reward[k].copy_(reward)
            self.success[k].copy_(success)
        if last:
            self.begin()
        else:
            self.obs.copy_(self.next_obs)

    def summary(self) -> str:
        """Where the worlds live, for a person."""
        return (
            f"environments: {self._spec.num_tasks} tasks x {self.copies}, simulated by MuJoCo Warp on "
            f"{self._device}"
        )

    def state_dict(self) -> dict[str, Any]:
        """The state of every world and the streams of goals; the tensors themselves."""
        return {
            "length": self._length,
            "running": self._running,
            "goal": self._goal,
            "obs": self.obs,
            "streams": [[stream.bit_generator.state for stream in streams] for streams in self._streams],
            "worlds": [self._state(task) for task in self._tasks],
        }

    def load_state_dict(self, state: dict[str, Any]) -> Tensor | None:
        """Go on from what :meth:`state_dict` gave: ``obs``, None if nothing was running."""
        expected, found = tuple(self._goal.shape), tuple(state["goal"].shape)
        require(
            expected == found,
            f"the worlds of a checkpoint must come from the same suite: expected [tasks, copies] = "
            f"{list(expected)}, found {list(found)}",
        )
        self._goal.copy_(torch.as_tensor(state["goal"]))
        self.begin()  # for what of the model the goals decide
        for task, saved in zip(self._tasks, state["worlds"], strict=True):
            for name, tensor in self._state(task).items():
                tensor.copy_(torch.as_tensor(saved[name]))
        self.obs.copy_(torch.as_tensor(state["obs"]))
        for streams, numbers in zip(self._streams, state["streams"], strict=True):
            for stream, number in zip(streams, numbers, strict=True):
                stream.bit_generator.state = number
        self._length, self._running = state["length"], state["running"]
        return self.obs if self._running else None

    def close(self) -> None:
        """Wait until nothing runs in the worlds any more."""
        self._simulation.close()

    @staticmethod
    def _state(task: TaskWorlds) -> dict[str, Tensor]:
        tensors = task.tensors()
        return {name: tensors[name] for name in (*STATE_FIELDS, "previous")}

    def _draw(self) -> None:
        goals = [[int(stream.integers(self._spec.num_goals)) for stream in row] for row in self._streams]
        drawn = torch.from_numpy(np.asarray(goals))
        if self._device.type == "cuda":
            drawn = drawn.pin_memory()
        self._goal.copy_(drawn, non_blocking=True)
