"""Ten families of gradient matrices that between them break most solvers. All float64, [K, P]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Family = Callable[[int, Generator], Tensor]


def _normal(rows: int, columns: int, generator: Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _random(num: int, generator: Generator) -> Tensor:
    return _normal(num, 2 * num, generator)


def _rank_deficient(num: int, generator: Generator) -> Tensor:
    return _normal(num, max(1, num // 2), generator) @ _normal(max(1, num // 2), 2 * num, generator)


def _near_parallel(num: int, generator: Generator) -> Tensor:
    return _normal(1, 2 * num, generator) + 1e-3 * _normal(num, 2 * num, generator)


def _opposite_pair(num: int, generator: Generator) -> Tensor:
    rows = _normal(num, 2 * num, generator)
    return torch.cat([rows[:-1], -rows[:1]])


def _one_large(num: int, generator: Generator) -> Tensor:
    rows = _normal(num, 2 * num, generator)
    return torch.cat([1e4 * rows[:1], rows[1:]])


def _one_zero(num: int, generator: Generator) -> Tensor:
    rows = _normal(num, 2 * num, generator)
    return torch.cat([0 * rows[:1], rows[1:]])


def _ill_conditioned(num: int, generator: Generator) -> Tensor:
    left, _ = torch.linalg.qr(_normal(num, num, generator))
    right, _ = torch.linalg.qr(_normal(2 * num, num, generator))
    return left @ torch.diag(torch.logspace(0, -4, num, dtype=torch.float64)) @ right.T  # Gram: 1e8


def _lognormal_norms(num: int, generator: Generator) -> Tensor:
    return _normal(num, 2 * num, generator) * torch.exp(2 * _normal(num, 1, generator))


def _equiangular(num: int, generator: Generator) -> Tensor:
    # All cosines equal to -0.9/(K - 1): every pair conflicts, just short of Pareto stationarity.
    cosine = -0.9 / max(num - 1, 1)
    gram = (1 - cosine) * torch.eye(num, dtype=torch.float64) + cosine
    rotation, _ = torch.linalg.qr(_normal(2 * num, num, generator))
    return torch.linalg.cholesky(gram) @ rotation.T


def _clusters(num: int, generator: Generator) -> Tensor:
    centres = _normal(3, 2 * num, generator)
    return centres[torch.arange(num) % 3] + 0.05 * _normal(num, 2 * num, generator)


FAMILIES: dict[str, Family] = {
    "random": _random,
    "rank_deficient": _rank_deficient,
    "near_parallel": _near_parallel,
    "opposite_pair": _opposite_pair,
    "one_large": _one_large,
    "one_zero": _one_zero,
    "ill_conditioned": _ill_conditioned,
    "lognormal_norms": _lognormal_norms,
    "equiangular": _equiangular,
    "clusters": _clusters,
}


def draw(family: str, num: int, seed: int = 0) -> Tensor:
    """Gradients [num, P] of a family."""
    return FAMILIES[family](num, torch.Generator().manual_seed(seed))
