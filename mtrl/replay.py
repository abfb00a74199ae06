"""Replay memory on the learner's device, one ring of transitions per task."""

from __future__ import annotations

from typing import Any

import torch

from mtrl.errors import require
from mtrl.types import SuiteSpec, Transition


class Replay:
    """K rings of transitions; every batch holds the same number from each task, drawn independently.

    A transition is one packed row (obs, action, reward, next_obs, terminated) of float32, so that
    adding is one copy to the device and sampling one gather.

    Args:
        spec: the suite's sizes.
        capacity: transitions kept per task.
        device: where the memory lives and batches are born.
        generator: source of the sampled indices, on ``device``.
    """

    def __init__(
        self, spec: SuiteSpec, capacity: int, device: torch.device, generator: torch.Generator | None
    ) -> None:
        require(capacity >= 1, f"replay_capacity must be at least 1 transition per task, found {capacity}")
        self.capacity = capacity
        self.generator = generator
        self.size = 0
        self.cursor = 0
        self._widths = [spec.obs_size, spec.action_size, 1, spec.obs_size, 1]
        shape = (spec.num_tasks, capacity, sum(self._widths))
        self._rows = torch.empty(shape, dtype=torch.float32, device=device)  # [K, capacity, 2O+A+2]
        starts = torch.arange(spec.num_tasks, device=device) * capacity
        self._starts = starts[:, None]  # [K, 1], each task's first row in the flat view

    @property
    def num_bytes(self) -> int:
        """Memory held, in bytes, from the start on."""
        return self._rows.numel() * self._rows.element_size()

    def add(self, transition: Transition) -> None:
        """Append n transitions per task: fields [K, n, ...] on any device, overwriting the oldest."""
        obs, action, reward, next_obs, terminated = transition
        packed = torch.cat(
            [obs, action, reward[..., None], next_obs, terminated[..., None].to(obs.dtype)], dim=-1
        ).to(self._rows.device)  # [K, n, 2O+A+2]
        count = packed.shape[1]
        require(
            count <= self.capacity,
            f"replay_capacity must hold one step of all copies: {count} copies > {self.capacity}",
        )
        first = min(count, self.capacity - self.cursor)
        self._rows[:, self.cursor : self.cursor + first] = packed[:, :first]
        self._rows[:, : count - first] = packed[:, first:]
        self.cursor = (self.cursor + count) % self.capacity
        self.size = min(self.size + count, self.capacity)

    def sample(self, batch_size: int) -> Transition:
        """``batch_size`` transitions of every task, uniformly with replacement: fields [K, B, ...]."""
        require(self.size > 0, "replay is empty: add transitions before sampling")
        shape = (self._rows.shape[0], batch_size)
        device = self._rows.device
        index = torch.randint(self.size, shape, generator=self.generator, device=device)  # [K, B]
        flat = (self._starts + index).flatten()
        rows = self._rows.flatten(0, 1).index_select(0, flat).view(*shape, -1)  # [K, B, 2O+A+2]
        obs, action, reward, next_obs, terminated = torch.split(rows, self._widths, dim=-1)
        return Transition(obs, action, reward.squeeze(-1), next_obs, terminated.squeeze(-1) > 0.5)

    def state_dict(self) -> dict[str, Any]:
        """The transitions held and the ring's position."""
        return {"rows": self._rows[:, : self.size], "size": self.size, "cursor": self.cursor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave, for the same suite and capacity."""
        rows = state["rows"]
        expected = (self._rows.shape[0], self._rows.shape[2])
        found = (rows.shape[0], rows.shape[2])
        require(
            found == expected and state["size"] <= self.capacity,
            f"replay state must match the suite and replay_capacity: expected [K, width] = {expected} and at "
            f"most {self.capacity} transitions, found {found} and {state['size']}",
        )
        self.size, self.cursor = state["size"], state["cursor"]
        self._rows[:, : self.size] = rows
