"""Replay memory on the learner's device, one ring of transitions per task."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from mtrl.devices import from_host, total_memory
from mtrl.errors import UsageError, require
from mtrl.types import SuiteSpec, Transition

LATER = -1  # the next observation is that of the row which the same copy added next


class Replay:
    """K rings of transitions; every batch holds the same number from each task, drawn independently.

    An observation is kept once: where a transition's next observation is, to the bit, the observation of
    the transition ``copies`` rows later, only that is kept. Where it is not, at the end of an episode, and
    where there is no later one yet, the next observation has a place of its own. Which is the case is seen
    on the host, where transitions come from; sampling only gathers.

    Args:
        spec: the suite's sizes.
        capacity: transitions kept per task.
        device: where the memory lives and batches are born.
        generator: source of the sampled indices, on ``device``.
        copies: how many transitions per task are added at a time, one of each copy of the environment. Other
            numbers are right, too, but take more memory.
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
        self._rows = torch.empty(*shape, sum(self._widths), device=device)  # [K, capacity, O+A+2]
        self._next = torch.empty(shape, dtype=torch.int32, device=device)  # LATER, or a place among the ends
        starts = torch.arange(spec.num_tasks, device=device) * capacity
        self._starts = starts[:, None]  # [K, 1], each task's first row in the flat view
        self.clear()

    def clear(self, added: int = 0) -> None:
        """Hold nothing; the next transition has the number ``added``."""
        self.added = added  # transitions of each task since the replay was empty; the newest are held
        tasks, size = len(self._rows), self._widths[0]
        self._ends = Pool(size, 2 * tasks * self.copies, self._rows.device)  # next observations, [E, O]
        self._settled: deque[tuple[int, Tensor]] = deque()  # places, and before which row they are in use
        # Of the newest rows, W <= copies, on the host: their next observations and where these are kept.
        self._newest = torch.empty(tasks, 0, size)  # [K, W, O]
        self._places = torch.empty(tasks, 0, dtype=torch.long)  # [K, W]

    @property
    def size(self) -> int:
        """Transitions of each task held."""
        return min(self.added, self.capacity)

    @property
    def num_bytes(self) -> int:
        """Memory held, in bytes; ends of episodes add to it."""
        return sum(part.numel() * part.element_size() for part in (self._rows, self._next, self._ends.rows))

    @property
    def packed_bytes(self) -> int:
        """Of one transition of every task, as :meth:`rows` gives it."""
        return 4 * len(self._rows) * sum(self._packed_widths())

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
        self._place(obs, next_obs)
        fields = [obs, action, reward[..., None], terminated[..., None].to(obs.dtype)]
        self._write(self._rows, self.added, torch.cat(fields, dim=-1))
        self.added += count
        while self._settled and self._settled[0][0] <= self.added - self.size:
            self._ends.give_back(self._settled.popleft()[1])

    def _place(self, obs: Tensor, next_obs: Tensor) -> None:
        """Find out where the next observations of the newest and of the coming rows are kept."""
        waiting, count = self._newest.shape[1], obs.shape[1]
        every = torch.cat([self._newest, next_obs], dim=1)  # [K, W + n, O]
        followed = max(0, waiting + count - self.copies)  # so many of them have a later row now
        later = obs[:, self.copies - waiting :]  # [K, followed, O]
        same = torch.zeros(every.shape[:2], dtype=torch.bool)  # [K, W + n]
        same[:, :followed] = (_bits(every[:, :followed]) == _bits(later)).all(-1)

        new = ~same[:, waiting:]
        places = torch.full(same.shape, LATER)  # [K, W + n]
        places[:, :waiting] = self._places
        places[:, waiting:][new] = self._ends.put(next_obs[new])
        self._ends.give_back(self._places[same[:, :waiting]])
        places[same] = LATER
        kept = places[:, :followed]
        if (kept != LATER).any():
            self._settled.append((self.added - waiting + followed, kept[kept != LATER]))
        self._write(self._next, self.added - waiting, places[:, :waiting].int())
        self._write(self._next, self.added, places[:, waiting:].int())
        self._newest, self._places = every[:, followed:].clone(), places[:, followed:].clone()

    def _write(self, memory: Tensor, number: int, values: Tensor) -> None:
        """Put ``values`` [K, n, ...] where the rows from ``number`` on are kept."""
        values = from_host(values, memory.device)
        cursor = number % self.capacity
        first = min(values.shape[1], self.capacity - cursor)
        memory[:, cursor : cursor + first] = values[:, :first]
        memory[:, : values.shape[1] - first] = values[:, first:]

    def sample(self, batch_size: int) -> Transition:
        """``batch_size`` transitions of every task, uniformly with replacement: fields [K, B, ...]."""
        if self.size == 0:
            raise UsageError("replay is empty: add transitions before sampling")
        shape = (self._rows.shape[0], batch_size)
        device = self._rows.device
        return self._at(torch.randint(self.size, shape, generator=self.generator, device=device))

    def _at(self, index: Tensor) -> Transition:
        """The transitions in the slots ``index`` [K, B]."""
        flat = (self._starts + index).flatten()
        later = (self._starts + (index + self.copies) % self.capacity).flatten()
        rows = self._rows.flatten(0, 1)
        found = rows.index_select(0, flat).view(*index.shape, rows.shape[1])  # [K, B, O+A+2]
        obs, action, reward, terminated = torch.split(found, self._widths, dim=-1)
        place = self._next.flatten().index_select(0, flat)  # [K B]
        ends = self._ends.rows.index_select(0, place.clamp(min=0))
        follower = rows[:, : obs.shape[-1]].index_select(0, later)
        next_obs = torch.where((place == LATER)[:, None], follower, ends)  # [K B, O]
        return Transition(
            obs, action, reward.squeeze(-1), next_obs.view_as(obs), terminated.squeeze(-1) > 0.5
        )

    def rows(self, start: int, stop: int) -> Tensor:
        """The transitions that were added as numbers ``start`` to ``stop``, [K, stop - start, 2O+A+2].

        Each packed as obs, action, reward, next_obs, terminated. They must still be held:
        ``added - size <= start <= stop <= added``.
        """
        index = torch.arange(start, stop, device=self._rows.device) % self.capacity
        obs, action, reward, next_obs, terminated = self._at(index.expand(self._rows.shape[0], -1))
        return torch.cat(
            [obs, action, reward[..., None], next_obs, terminated[..., None].to(obs.dtype)], dim=-1
        )

    def restore(self, start: int, rows: Tensor) -> None:
        """Hold what :meth:`rows` gave again, as the newest; the next call goes on where it ended.

        Raises:
            UsageError: for rows of another suite, or more than the capacity.
        """
        widths = self._packed_widths()
        expected, found = (self._rows.shape[0], sum(widths)), (rows.shape[0], rows.shape[2])
        require(
            found == expected and rows.shape[1] <= self.capacity,
            f"replay rows must match the suite and replay_capacity: expected [K, width] = {expected} and at "
            f"most {self.capacity} transitions, found {found} and {rows.shape[1]}",
        )
        if start != self.added:
            self.clear(start)
        obs, action, reward, next_obs, terminated = torch.split(rows.cpu(), widths, dim=-1)
        self.add(Transition(obs, action, reward.squeeze(-1), next_obs, terminated.squeeze(-1) > 0.5))

    def _packed_widths(self) -> list[int]:
        obs, action, reward, terminated = self._widths
        return [obs, action, reward, obs, terminated]


def _bits(values: Tensor) -> Tensor:
    """Equal where the numbers are the same to the bit: -0 is not 0, and a NaN is itself."""
    return values.contiguous().view(torch.int32)


def require_memory(spec: SuiteSpec, capacity: int, device: torch.device) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for a replay that is larger than the memory of its device."""
    needed, there = 4 * spec.num_tasks * capacity * (sum(_widths(spec)) + 1), total_memory(device)
    require(
        needed <= there,
        f"replay_capacity must fit into memory: {capacity} transitions for each of {spec.num_tasks} tasks "
        f"are {needed / 1e9:.1f} GB, {device} has {there / 1e9:.1f} GB",
    )


def _widths(spec: SuiteSpec) -> list[int]:
    """Of a row's fields: obs, action, reward, terminated."""
    return [spec.obs_size, spec.action_size, 1, 1]


class Pool:
    """Vectors that come and go, in memory that grows with the most there were at a time.

    Which places are free is known on the host, so that nothing waits for the device.

    Args:
        width: of a vector.
        places: there are at the start.
        device: where the vectors live.
    """

    def __init__(self, width: int, places: int, device: torch.device) -> None:
        self.rows = torch.empty(places, width, device=device)  # [E, width]
        self._free = torch.arange(places)  # on the host, like all that decides

    def put(self, values: Tensor) -> Tensor:
        """Keep ``values`` [N, width] from the host; their places [N], on the host."""
        lacking = len(values) - len(self._free)
        if lacking > 0:
            places = len(self.rows)
            more = max(places, lacking)
            self.rows = torch.cat([self.rows, self.rows.new_empty(more, self.rows.shape[1])])
            self._free = torch.cat([self._free, torch.arange(places, places + more)])
        taken, self._free = self._free.tensor_split([len(values)])
        device = self.rows.device
        self.rows.index_copy_(0, from_host(taken, device), from_host(values, device))
        return taken

    def give_back(self, places: Tensor) -> None:
        """Let ``places`` [N] be taken again."""
        self._free = torch.cat([self._free, places])
