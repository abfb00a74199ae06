"""What it takes to play the running episodes again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrl.errors import require
from mtrl.types import BoolArray, FloatArray


class Script:
    """The goals and actions of N running episodes, and the streams that the next goals come from.

    An episode is a function of its goal and its actions alone, so these few numbers are its exact state: no
    simulator has to be opened.

    Args:
        streams: of goals, one per row.
        num_goals: to draw from.
        goal: [N], the goal that each row's next episode will have; written here.
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
        """The rows [N] have taken up their next goals: draw others."""
        rows = np.flatnonzero(begun)
        self.goal[rows] = self._next[rows]
        self.length[rows] = 0
        self._draw(rows)

    def add(self, action: FloatArray) -> None:
        """Every row made a step with its ``action`` [N, A]."""
        self.actions[np.arange(len(self.length)), self.length] = action
        self.length += 1

    def _draw(self, rows: NDArray[np.int64]) -> None:
        for row in rows.tolist():
            self._next[row] = self._streams[row].integers(self._num_goals)

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
