"""Keeps transitions on the learner's device, one ring per task, and samples batches of them."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from mtrl.devices import from_host, total_memory
from mtrl.errors import UsageError, require
from mtrl.types import SuiteSpec, Transition

IN_SUCCESSOR = -1  # the next observation is kept as the observation of the same copy's next transition


class Replay:
    """K rings of transitions; every batch holds the same number from each task, drawn independently.

    An observation is kept once: where a transition's next observation is, to the bit, the observation of
    the transition ``copies`` later, only that one is kept. Where it is not, at the end of an episode, and
    where there is no later one yet, the next observation is kept by itself, among the "ends". Which is the
    case is decided on the host, where transitions come from; sampling only gathers.

    Args:
        spec: the suite's sizes.
        capacity: transitions kept per task.
        device: where the memory lives and batches are born.
        generator: source of the sampled indices, on ``device``.
        copies: how many transitions per task are added at a time, one of each copy of the environment. Other
            numbers work too, but take more memory.
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
        shape = (spec.num_tasks, capacity)
        self._transitions = torch.empty(*shape, sum(self._widths), device=device)  # [K, capacity, O+A+2]
        # IN_SUCCESSOR, or an index into the ends.
        self._next = torch.empty(shape, dtype=torch.int32, device=device)
        starts = torch.arange(spec.num_tasks, device=device) * capacity
        self._starts = starts[:, None]  # [K, 1], each task's first transition in the flat view
        self.clear()

    def clear(self, added: int = 0) -> None:
        """Drop every transition; the next one has the number ``added``."""
        self.added = added  # transitions of each task since the replay was empty; the newest are held
        self.size = min(added, self.capacity)  # so many of them
        tasks, size = len(self._transitions), self._widths[0]
        # Next observations that are the observation of no other transition, [E, O].
        self._ends = VectorPool(size, 2 * tasks * self.copies, self._transitions.device)
        # Indices into the ends that are used by transitions before a number.
        self._settled: deque[tuple[int, Tensor]] = deque()
        # For the newest transitions, W <= copies, on the host: next observations and where these are kept.
        self._newest = torch.empty(tasks, 0, size)  # [K, W, O]
        self._newest_index = torch.empty(tasks, 0, dtype=torch.long)  # [K, W]

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
        obs, action, reward, next_obs, terminated = transition
        count = obs.shape[1]
        require(
            count <= self.capacity,
            f"replay_capacity must hold one step of all copies: {count} copies > {self.capacity}",
        )
        self._keep_next(obs, next_obs)
        fields = [obs, action, reward[..., None], terminated[..., None].to(obs.dtype)]
        self._write(self._transitions, self.added, torch.cat(fields, dim=-1))
        self.added += count
        self.size = min(self.added, self.capacity)
        while self._settled and self._settled[0][0] <= self.added - self.size:
            self._ends.free(self._settled.popleft()[1])

    def _keep_next(self, obs: Tensor, next_obs: Tensor) -> None:
        """Decide where the next observations of the newest and of the coming transitions are kept."""
        waiting, count = self._newest.shape[1], obs.shape[1]
        every = torch.cat([self._newest, next_obs], dim=1)  # [K, W + n, O]
        followed = max(0, waiting + count - self.copies)  # so many of them have a successor now
        successors = obs[:, self.copies - waiting :]  # [K, followed, O]
        same = torch.zeros(every.shape[:2], dtype=torch.bool)  # [K, W + n]
        same[:, :followed] = (_bits(every[:, :followed]) == _bits(successors)).all(-1)

        new = ~same[:, waiting:]
        index = torch.full(same.shape, IN_SUCCESSOR)  # [K, W + n]
        index[:, :waiting] = self._newest_index
        index[:, waiting:][new] = self._ends.put(next_obs[new])
        self._ends.free(self._newest_index[same[:, :waiting]])
        index[same] = IN_SUCCESSOR
        kept = index[:, :followed]
        if (kept != IN_SUCCESSOR).any():
            self._settled.append((self.added - waiting + followed, kept[kept != IN_SUCCESSOR]))
        self._write(self._next, self.added - waiting, index[:, :waiting].int())
        self._write(self._next, self.added, index[:, waiting:].int())
        self._newest, self._newest_index = every[:, followed:].clone(), index[:, followed:].clone()

    def _write(self, memory: Tensor, number: int, values: Tensor) -> None:
        """Write ``values`` [K, n, ...] to the slots of the transitions from ``number`` on."""
        values = from_host(values, memory.device)
        cursor = number % self.capacity
        first = min(values.shape[1], self.capacity - cursor)
        memory[:, cursor : cursor + first] = values[:, :first]
        memory[:, : values.shape[1] - first] = values[:, first:]

    def sample(self, batch_size: int) -> Transition:
        """Draw ``batch_size`` transitions of every task uniformly, with replacement: fields [K, B, ...]."""
        if self.size == 0:
            raise UsageError("replay is empty: add transitions before sampling")
        shape = (self._transitions.shape[0], batch_size)
        device = self._transitions.device
        return self._at(torch.randint(self.size, shape, generator=self.generator, device=device))

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


def _bits(values: Tensor) -> Tensor:
    """The bits of ``values``, by which -0 differs from 0 and a NaN equals itself."""
    return values.contiguous().view(torch.int32)


def require_memory(spec: SuiteSpec, capacity: int, device: torch.device) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for a replay larger than the memory of its device."""
    needed, there = 4 * spec.num_tasks * capacity * (sum(_widths(spec)) + 1), total_memory(device)
    require(
        needed <= there,
        f"replay_capacity must fit into memory: {capacity} transitions for each of {spec.num_tasks} tasks "
        f"are {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f} GB",
    )


def _widths(spec: SuiteSpec) -> list[int]:
    """The widths of the fields that are kept of a transition: obs, action, reward, terminated."""
    return [spec.obs_size, spec.action_size, 1, 1]


class VectorPool:
    """Allocates vectors that come and go, in memory that grows with the most there were at a time.

    Which slots are free is known on the host, so that nothing waits for the device.

    Args:
        width: the size of a vector.
        slots: how many vectors there is room for at the start.
        device: where the vectors live.
    """

    def __init__(self, width: int, slots: int, device: torch.device) -> None:
        self.vectors = torch.empty(slots, width, device=device)  # [E, width]
        self._free = torch.arange(slots)  # on the host, like all that decides

    def put(self, values: Tensor) -> Tensor:
        """Keep ``values`` [N, width] from the host; return their slots [N], on the host."""
        lacking = len(values) - len(self._free)
        if lacking > 0:
            slots = len(self.vectors)
            more = max(slots, lacking)
            self.vectors = torch.cat([self.vectors, self.vectors.new_empty(more, self.vectors.shape[1])])
            self._free = torch.cat([self._free, torch.arange(slots, slots + more)])
        taken, self._free = self._free.tensor_split([len(values)])
        device = self.vectors.device
        self.vectors.index_copy_(0, from_host(taken, device), from_host(values, device))
        return taken

    def free(self, slots: Tensor) -> None:
        """Let ``slots`` [N] be taken again."""
        self._free = torch.cat([self._free, slots])
