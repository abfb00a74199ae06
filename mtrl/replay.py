"""Replay memory on the learner's device, one ring of transitions per task."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.devices import total_memory
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
        self.added = 0  # transitions of each task since the replay was empty; the newest are held
        self._widths = _widths(spec)
        shape = (spec.num_tasks, capacity, sum(self._widths))
        self._rows = torch.empty(shape, dtype=torch.float32, device=device)  # [K, capacity, 2O+A+2]
        starts = torch.arange(spec.num_tasks, device=device) * capacity
        self._starts = starts[:, None]  # [K, 1], each task's first row in the flat view

    @property
    def size(self) -> int:
        """Transitions of each task held."""
        return min(self.added, self.capacity)

    @property
    def num_bytes(self) -> int:
        """Memory held, in bytes, from the start on."""
        return self._rows.numel() * self._rows.element_size()

    def add(self, transition: Transition) -> None:
        """Append n transitions per task: fields [K, n, ...] on any device, overwriting the oldest."""
        obs, action, reward, next_obs, terminated = transition
        packed = torch.cat(
            [obs, action, reward[..., None], next_obs, terminated[..., None].to(obs.dtype)], dim=-1
        )  # [K, n, 2O+A+2]
        if self._rows.is_cuda and not packed.is_cuda:
            packed = packed.pin_memory()  # from where the copy does not hold up the host
        packed = packed.to(self._rows.device, non_blocking=True)
        count = packed.shape[1]
        require(
            count <= self.capacity,
            f"replay_capacity must hold one step of all copies: {count} copies > {self.capacity}",
        )
        self._write(packed)

    def _write(self, packed: Tensor) -> None:
        count, cursor = packed.shape[1], self.added % self.capacity
        first = min(count, self.capacity - cursor)
        self._rows[:, cursor : cursor + first] = packed[:, :first]
        self._rows[:, : count - first] = packed[:, first:]
        self.added += count

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

    def rows(self, start: int, stop: int) -> Tensor:
        """The packed transitions that were added as numbers ``start`` to ``stop``, [K, stop - start, 2O+A+2].

        They must still be held: ``added - size <= start <= stop <= added``.
        """
        numbers = torch.arange(start, stop, device=self._rows.device)
        return self._rows[:, numbers % self.capacity]

    def restore(self, start: int, rows: Tensor) -> None:
        """Hold what :meth:`rows` gave again, as the newest; the next call goes on where it ended.

        Raises:
            UsageError: for rows of another suite, or more than the capacity.
        """
        expected, found = (self._rows.shape[0], self._rows.shape[2]), (rows.shape[0], rows.shape[2])
        require(
            found == expected and rows.shape[1] <= self.capacity,
            f"replay rows must match the suite and replay_capacity: expected [K, width] = {expected} and at "
            f"most {self.capacity} transitions, found {found} and {rows.shape[1]}",
        )
        self.added = start
        self._write(rows.to(self._rows.device))


def require_memory(spec: SuiteSpec, capacity: int, device: torch.device) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for a replay that is larger than the memory of its device."""
    needed, there = 4 * spec.num_tasks * capacity * sum(_widths(spec)), total_memory(device)
    require(
        needed <= there,
        f"replay_capacity must fit into memory: {capacity} transitions for each of {spec.num_tasks} tasks "
        f"are {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f} GB",
    )


def _widths(spec: SuiteSpec) -> list[int]:
    """Of a packed transition's fields: obs, action, reward, next_obs, terminated."""
    return [spec.obs_size, spec.action_size, 1, spec.obs_size, 1]
