"""Keeps transitions on the learner's device, one ring per task, and samples batches of them."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrl.devices import from_host, total_memory
from mtrl.errors import UsageError, require
from mtrl.types import SuiteSpec, Transition
from mtrl.vector_pool import VectorPool

IN_SUCCESSOR = -1  # the next observation is kept as the observation of the same copy's next transition

Array = NDArray[Any]


class Packet(NamedTuple):
    """What one addition changes in the replay's memory: decided on the host, written on the device."""

    rows: Any  # [K, n, O+A+2], the new transitions without their next observations
    waiting: Any  # [K, W] int32, where the next observations of the W transitions before are kept now
    newest: Any  # [K, n] int32, and those of the new ones
    slots: Any  # [E] int64, places among the ends
    vectors: Any  # [E, O], what is kept there


class Replay:
    """K rings of transitions; every batch holds the same number from each task, drawn independently.

    An observation is kept once: where a transition's next observation is, to the bit, the observation of
    the transition ``copies`` later, only that one is kept. Where it is not, at the end of an episode, and
    where there is no later one yet, the next observation is kept by itself, among the "ends". Which is the
    case is decided on the host, where transitions come from, by :meth:`plan`. :meth:`store` and
    :meth:`sample` read counters on the device, so that a recorded graph of them stays right as the replay
    fills, until :attr:`moves` changes.

    Args:
        spec: the suite's sizes.
        capacity: transitions kept per task.
        device: where the memory lives and batches are born.
        generator: source of the sampled indices, on ``device``.
        copies: how many transitions per task are added at a time, one of each copy of the environment. Other
            numbers work too, but take more memory.

    Attributes:
        added: transitions of each task since the replay was empty.
        size: so many of them, the newest, are held.
        moves: how often memory was given up for larger memory.
    """

    def __init__(
        self,
        spec: SuiteSpec,
        capacity: int,
        device: torch.device,
        generator: torch.Generator | None,
        copies: int = 1,
    ) -> None:
        require(capacity >= 1, f"replay_capacity must be at least 1 transition per task, found {capacity}")
        require(
            copies <= capacity,
            f"replay_capacity must hold one step of all copies: {copies} copies > {capacity}",
        )
        self.capacity = capacity
        self.generator = generator
        self.copies = copies
        self._widths = _widths(spec)
        # Two for each running episode, and one for each that has ended: more grow where episodes end early.
        self._ends_at_first = spec.num_tasks * (2 * copies + capacity // spec.horizon)
        shape = (spec.num_tasks, capacity)
        self._transitions = torch.empty(*shape, sum(self._widths), device=device)  # [K, capacity, O+A+2]
        # IN_SUCCESSOR, or an index into the ends.
        self._next = torch.empty(shape, dtype=torch.int32, device=device)
        starts = torch.arange(spec.num_tasks, device=device) * capacity
        self._starts = starts[:, None]  # [K, 1], each task's first transition in the flat view
        self._added = torch.zeros((), dtype=torch.int64, device=device)  # as ``added``, after what is queued
        self.moves = 0
        self.clear()

    def clear(self, added: int = 0) -> None:
        """Drop every transition; the next one has the number ``added``."""
        self.added = added
        self.size = min(added, self.capacity)
        self._added.fill_(added)
        tasks, size = len(self._transitions), self._widths[0]
        # Next observations that are the observation of no other transition, [E, O].
        self._ends = VectorPool(size, self._ends_at_first, self._transitions.device)
        # Indices into the ends that are used by transitions before a number.
        self._settled: deque[tuple[int, Array]] = deque()
        # For the newest transitions, W <= copies, on the host: next observations and where these are kept.
        self._newest = np.empty((tasks, 0, size), np.float32)  # [K, W, O]
        self._newest_index = np.empty((tasks, 0), np.int64)  # [K, W]
        self.moves += 1

    @property
    def num_bytes(self) -> int:
        """Bytes of memory held; ends of episodes add to it."""
        parts = (self._transitions, self._next, self._ends.vectors)
        return sum(part.numel() * part.element_size() for part in parts)

    @property
    def packed_bytes(self) -> int:
        """Bytes of one transition of every task, packed as :meth:`packed` returns it."""
        return 4 * len(self._transitions) * sum(self._packed_widths())

    def add(self, transition: Transition) -> None:
        """Append n transitions per task, overwriting the oldest.

        Args:
            transition: fields [K, n, ...] on the host, in the order of the copies.
        """
        packet = self.plan(*(field.numpy() for field in transition))
        device = self._transitions.device
        self.store(Packet(*(from_host(torch.from_numpy(field), device) for field in packet)))

    def plan(self, obs: Array, action: Array, reward: Array, next_obs: Array, terminated: Array) -> Packet:
        """Decide where n new transitions per task go, given as arrays [K, n, ...] in the order of the copies.

        Returns:
            arrays that :meth:`store` must be given next, as tensors on the device.
        """
        count = obs.shape[1]
        require(
            count <= self.capacity,
            f"replay_capacity must hold one step of all copies: {count} copies > {self.capacity}",
        )
        before = self._newest.shape[1]
        every = np.concatenate([self._newest, next_obs], axis=1)  # [K, W + n, O]
        followed = self._followed(count)
        successors = obs[:, self.copies - before :]  # [K, followed, O]
        same = np.zeros(every.shape[:2], np.bool_)  # [K, W + n]
        same[:, :followed] = (_bits(every[:, :followed]) == _bits(successors)).all(-1)
        self._newest = every[:, followed:].copy()
        waiting, newest, slots = self._place(same, count)
        columns = (obs, action, reward[..., None], terminated[..., None])
        rows = np.concatenate(columns, axis=-1, dtype=np.float32)  # [K, n, O+A+2]
        return Packet(rows, waiting, newest, slots, next_obs[~same[:, before:]])

    def plan_places(self, follows: bool) -> tuple[Array, Array, Array]:
        """Decide as :meth:`plan` does, for transitions of all copies that are on the device already.

        Args:
            follows: whether the observations of all copies are their last transitions' next observations.

        Returns:
            the fields ``waiting``, ``newest`` and ``slots`` of the packet to store, as arrays.
        """
        before = self._newest_index.shape[1]
        same = np.zeros((len(self._transitions), before + self.copies), np.bool_)  # [K, W + n]
        same[:, : self._followed(self.copies)] = follows
        return self._place(same, self.copies)

    def _followed(self, count: int) -> int:
        """How many of the newest transitions have a successor once ``count`` others are added."""
        return max(0, self._newest_index.shape[1] + count - self.copies)

    def _place(self, same: Array, count: int) -> tuple[Array, Array, Array]:
        """Decide where the next observations of the newest and of ``count`` coming transitions are kept.

        Args:
            same: [K, W + n], which of them the successor's observation is.
            count: n.
        """
        waiting, followed = self._newest_index.shape[1], self._followed(count)
        new = ~same[:, waiting:]
        room = len(self._ends.vectors)
        slots = self._ends.take(int(new.sum()))  # [E]
        self.moves += len(self._ends.vectors) > room
        index = np.full(same.shape, IN_SUCCESSOR)  # [K, W + n]
        index[:, :waiting] = self._newest_index
        index[:, waiting:][new] = slots
        self._ends.free(self._newest_index[same[:, :waiting]])
        index[same] = IN_SUCCESSOR
        kept = index[:, :followed]
        kept = kept[kept != IN_SUCCESSOR]
        if len(kept):
            self._settled.append((self.added - waiting + followed, kept))
        self._newest_index = index[:, followed:].copy()
        self.added += count
        self.size = min(self.added, self.capacity)
        while self._settled and self._settled[0][0] <= self.added - self.size:
            self._ends.free(self._settled.popleft()[1])
        written = index.astype(np.int32)
        return written[:, :waiting].copy(), written[:, waiting:].copy(), slots

    def store(self, packet: Packet) -> None:
        """Write on the device what :meth:`plan` decided; ``packet`` has tensors there."""
        rows, waiting, newest, slots, vectors = packet
        self._ends.vectors.index_copy_(0, slots, vectors)
        before, now = (self._places(part.shape[1]) for part in (waiting, newest))
        # In two writes: in a ring shorter than both, the new transitions have taken places of those before.
        self._next.index_copy_(1, (before - waiting.shape[1]) % self.capacity, waiting)
        self._next.index_copy_(1, now % self.capacity, newest)
        self._transitions.index_copy_(1, now % self.capacity, rows)
        self._added.add_(rows.shape[1])

    def _places(self, count: int) -> Tensor:
        """The numbers [count] of transitions yet to come, on the device."""
        return self._added + torch.arange(count, device=self._added.device)

    def sample(self, batch_size: int) -> Transition:
        """Draw ``batch_size`` transitions of every task uniformly, with replacement: fields [K, B, ...]."""
        if self.size == 0:
            raise UsageError("replay is empty: add transitions before sampling")
        shape = (self._transitions.shape[0], batch_size)
        uniform = torch.rand(
            shape, generator=self.generator, device=self._added.device, dtype=torch.float64
        )  # below 1, and its product with a size below 2**52 is below that size
        return self._at((uniform * self._added.clamp(max=self.capacity)).long())

    def _at(self, index: Tensor) -> Transition:
        """Gather the transitions in the slots ``index`` [K, B]."""
        flat = (self._starts + index).flatten()
        after = (self._starts + (index + self.copies) % self.capacity).flatten()
        stored = self._transitions.flatten(0, 1)
        found = stored.index_select(0, flat).view(*index.shape, stored.shape[1])  # [K, B, O+A+2]
        obs, action, reward, terminated = torch.split(found, self._widths, dim=-1)
        where = self._next.flatten().index_select(0, flat)  # [K B]
        ends = self._ends.vectors.index_select(0, where.clamp(min=0))
        successor = stored[:, : obs.shape[-1]].index_select(0, after)
        next_obs = torch.where((where == IN_SUCCESSOR)[:, None], successor, ends)  # [K B, O]
        return Transition(
            obs, action, reward.squeeze(-1), next_obs.view_as(obs), terminated.squeeze(-1) > 0.5
        )

    def packed(self, start: int, stop: int) -> Tensor:
        """Pack the transitions that were added as numbers ``start`` to ``stop``: [K, stop - start, 2O+A+2].

        The last dimension holds obs, action, reward, next_obs, terminated. They must still be held:
        ``added - size <= start <= stop <= added``.
        """
        index = torch.arange(start, stop, device=self._transitions.device) % self.capacity
        obs, action, reward, next_obs, terminated = self._at(index.expand(self._transitions.shape[0], -1))
        return torch.cat(
            [obs, action, reward[..., None], next_obs, terminated[..., None].to(obs.dtype)], dim=-1
        )

    def restore(self, start: int, packed: Tensor) -> None:
        """Add again what :meth:`packed` returned, as the newest; the next call goes on where it ended.

        Raises:
            UsageError: for transitions of another suite, or more than the capacity.
        """
        widths = self._packed_widths()
        expected, found = (self._transitions.shape[0], sum(widths)), (packed.shape[0], packed.shape[2])
        require(
            found == expected and packed.shape[1] <= self.capacity,
            f"the replay's transitions must match the suite and replay_capacity: expected [K, width] = "
            f"{expected} and at most {self.capacity} of them, found {found} and {packed.shape[1]}",
        )
        if start != self.added:
            self.clear(start)
        obs, action, reward, next_obs, terminated = torch.split(packed.cpu(), widths, dim=-1)
        self.add(Transition(obs, action, reward.squeeze(-1), next_obs, terminated.squeeze(-1) > 0.5))

    def _packed_widths(self) -> list[int]:
        obs, action, reward, terminated = self._widths
        return [obs, action, reward, obs, terminated]


def _bits(values: Array) -> Array:
    """The bits of ``values``, by which -0 differs from 0 and a NaN equals itself."""
    return np.ascontiguousarray(values, np.float32).view(np.int32)


def replay_bytes(spec: SuiteSpec, capacity: int) -> int:
    """Bytes of a replay's transitions, without the ends of episodes."""
    return 4 * spec.num_tasks * capacity * (sum(_widths(spec)) + 1)


def require_memory(spec: SuiteSpec, capacity: int, device: torch.device) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for a replay larger than the memory of its device."""
    needed, there = replay_bytes(spec, capacity), total_memory(device)
    require(
        needed <= there,
        f"replay_capacity must fit into memory: {capacity} transitions for each of {spec.num_tasks} tasks "
        f"are {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f} GB",
    )


def _widths(spec: SuiteSpec) -> list[int]:
    """The widths of the fields that are kept of a transition: obs, action, reward, terminated."""
    return [spec.obs_size, spec.action_size, 1, 1]
