"""Makes the gradients and losses that aggregators are checked with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mtrl.aggregators import Aggregator
from mtrl.types import Direction

SIZE = 6  # P


@dataclass(frozen=True)
class Case:
    """An aggregator under check.

    Args:
        make: builds one for a number of tasks.
        num_tasks: K.
        factor: what K equal gradients are multiplied by.
    """

    make: Callable[[int], Aggregator]
    num_tasks: int
    factor: float = 1.0
    _kept: list[Aggregator] = field(default_factory=list)

    def fresh(self) -> Aggregator:
        """A new instance for K tasks; made once and copied, since making one may read files."""
        if not self._kept:
            self._kept.append(self.make(self.num_tasks))
        return copy.deepcopy(self._kept[0])

    def gradients(self, seed: int = 0) -> Tensor:
        """Gradients [K, P] of which some conflict."""
        return matrix(self.num_tasks, SIZE, seed)

    def losses(self, seed: int = 0) -> Tensor:
        """Losses [K]."""
        return losses(self.num_tasks, seed)

    def is_random(self) -> bool:
        """Whether two draws differ."""
        first, second = (call(self.fresh(), self.gradients(), self.losses(), seed) for seed in (0, 1))
        return not torch.equal(first.vector, second.vector)


def matrix(num_tasks: int, size: int, seed: int = 0) -> Tensor:
    """Gradients [K, P] of which some conflict."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num_tasks, size, generator=generator) + 0.2


def losses(num_tasks: int, seed: int = 0) -> Tensor:
    """Losses [K] between 0.5 and 1.5."""
    return 0.5 + torch.rand(num_tasks, generator=torch.Generator().manual_seed(seed))


def call(
    aggregator: Callable[[Tensor, Tensor], Direction], rows: Tensor, values: Tensor, seed: int = 0
) -> Direction:
    """Aggregate, after seeding PyTorch's own generator."""
    torch.manual_seed(seed)
    return aggregator(rows, values)


def one(num_tasks: int, value: float) -> Tensor:
    """A column [K, 1] of ones but for the second."""
    column = torch.ones(num_tasks, 1)
    column[1] = value
    return column


# Gradients [K, P] turned into awkward ones.
BENT: dict[str, Callable[[Tensor], Tensor]] = {
    "zero": lambda rows: 0 * rows,
    "one zero": lambda rows: rows * one(len(rows), 0.0),
    "duplicate": lambda rows: rows[torch.arange(len(rows)) // 2],
    "all equal": lambda rows: rows[:1].repeat(len(rows), 1),
    "opposite": lambda rows: torch.cat([rows[: (len(rows) + 1) // 2], -rows[: len(rows) // 2]]),
    "one huge": lambda rows: rows * one(len(rows), 1e12),
    "all huge": lambda rows: rows * 1e12,
    "tiny": lambda rows: rows * 1e-12,
    "overflow": lambda rows: rows * one(len(rows), 1e30),
}

KINDS = ("normal", "zero", "copy", "opposite", "huge", "not finite")


def mixture(kinds: list[str], size: int, seed: int) -> Tensor:
    """Gradients [K, P], row k of the k-th kind."""
    rows = matrix(len(kinds), size, seed)
    for index, kind in enumerate(kinds):
        original = rows[index]
        change = {
            "normal": original,
            "zero": 0 * original,
            "copy": rows[index - 1].clone(),
            "opposite": -rows[index - 1],
            "huge": 1e9 * original,
            "not finite": torch.full_like(original, torch.nan),
        }
        rows[index] = change[kind]
    return rows
