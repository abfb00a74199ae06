"""Logs goals and actions of the running episodes, so that they can be played again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrl.errors import require
from mtrl.types import BoolArray, FloatArray


class EpisodeLog:
    """The goals and actions of N running episodes, and the streams that the next goals come from.

    An episode is a function of its goal and its actions alone, so these few numbers are its exact state: no
    simulator has to be opened.

    Args:
        streams: of goals, one per slot.
        num_goals: to draw from.
        goal: [N], the goal that each slot's next episode will have; written here.
        horizon: most steps of an episode.
        action_size: A.
    """

    def __init__(
        self,
        streams: Sequence[np.random.Generator],
        num_goals: int,
        goal: NDArray[np.int32],
        horizon: int,
        action_size: int,
    ) -> None:
        self._streams = streams
        self._num_goals = num_goals
        self._next = goal
        count = len(streams)
        self.goal = np.zeros(count, np.int32)  # [N], of the running episodes
        self.length = np.zeros(count, np.int64)  # [N], their steps so far
        self.actions = np.zeros((count, horizon, action_size), np.float32)  # [N, H, A]
        self._draw(np.arange(count))

    def begin(self, begun: BoolArray) -> None:
        """Note that slots [N] have taken up their next goals; draw others."""
        slots = np.flatnonzero(begun)
        self.goal[slots] = self._next[slots]
        self.length[slots] = 0
        self._draw(slots)

    def add(self, action: FloatArray) -> None:
        """Note that every slot made a step with its ``action`` [N, A]."""
        self.actions[np.arange(len(self.length)), self.length] = action
        self.length += 1

    def _draw(self, slots: NDArray[np.int64]) -> None:
        for slot in slots.tolist():
            self._next[slot] = self._streams[slot].integers(self._num_goals)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as arrays and numbers."""
        played = self.actions[:, : self.length.max(initial=0)]
        return {
            "streams": [stream.bit_generator.state for stream in self._streams],
            "next_goal": self._next.copy(),
            "goal": self.goal.copy(),
            "length": self.length.copy(),
            "actions": played.copy(),  # [N, longest, A]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, for the same suite."""
        actions = state["actions"]
        expected, found = self.actions.shape, actions.shape
        require(
            (found[0], found[2]) == (expected[0], expected[2]) and found[1] <= expected[1],
            "the episodes of a checkpoint must come from the same suite: expected [environments, horizon, "
            f"action size] = {list(expected)}, found {list(found)}",
        )
        for name, most in (
            ("next_goal", self._num_goals - 1),
            ("goal", self._num_goals - 1),
            ("length", found[1]),
        ):
            value = state[name]
            valid = value.shape == self.length.shape and (value >= 0).all() and (value <= most).all()
            require(valid, f"{name} of a checkpoint must lie in 0..{most} for every environment")
        for stream, saved in zip(self._streams, state["streams"], strict=True):
            stream.bit_generator.state = saved
        self._next[:] = state["next_goal"]
        self.goal[:] = state["goal"]
        self.length[:] = state["length"]
        self.actions[:, : found[1]] = actions
