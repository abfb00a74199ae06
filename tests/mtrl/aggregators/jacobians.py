"""Gradient matrices as TorchJD's tests draw them: of a rank, Pareto stationary or not; float64, [K, P]."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn.functional import normalize

NORMAL = ((1, 1, 1), (4, 3, 1), (4, 3, 2), (4, 3, 3), (9, 11, 5), (9, 11, 9))  # K, P, rank
STATIONARY = ((20, 10, 10), (20, 10, 5), (20, 10, 1), (20, 100, 1), (20, 100, 19))
SCALES = (0.0, 1e-10, 1e3, 1e5, 1e10, 1e15)


def of_rank(left: Tensor, size: int, rank: int, generator: Generator) -> Tensor:
    """A matrix [K, P] with the first ``rank`` columns of ``left`` [K, ...] as left singular vectors."""
    right = torch.linalg.qr(_normal(size, size, generator)).Q
    lengths = _normal(1, rank, generator).abs()
    return (left[:, :rank] * lengths) @ right[:, :rank].T


def drawn(kind: str, num: int, size: int, rank: int, generator: Generator) -> Tensor:
    """One matrix [K, P] of a kind.

    "normal"; "strong": some w > 0 has wᵀG = 0; "strictly weak": some w >= 0 has, but none that is positive
    throughout; "not weak": no w >= 0 has, but zero.
    """
    weights = _normal(num, 1, generator).abs()
    if kind == "normal":
        return of_rank(_complement(weights[:, :0], generator), size, rank, generator)
    if kind == "strong":
        return of_rank(_complement(normalize(weights, dim=0), generator), size, rank, generator)
    if kind == "not weak":
        first = normalize(weights, dim=0)
        return of_rank(torch.cat([first, _complement(first, generator)], 1), size, rank, generator)
    chosen = torch.randperm(num, generator=generator) < int(torch.randint(1, num, (), generator=generator))
    pair = [normalize(torch.where(part[:, None], weights, 0), dim=0) for part in (chosen, ~chosen)]
    both = torch.cat(pair, 1)
    return of_rank(torch.cat([both[:, 1:], _complement(both, generator)], 1), size, rank, generator)


def matrices(*kinds: str) -> list[Tensor]:
    """All matrices of some kinds, or "zero" ones, from one seed."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for kind in kinds:
        if kind == "zero":
            found += [torch.zeros(num, size).double() for num, size, _ in NORMAL[::2]]
            continue
        found += [drawn(kind, *one, generator) for one in (NORMAL if kind == "normal" else STATIONARY)]
    return found


def _normal(rows: int, columns: int, generator: Generator) -> Tensor:
    return torch.randn(rows, columns, generator=generator, dtype=torch.float64)


def _complement(vectors: Tensor, generator: Generator) -> Tensor:
    """Orthonormal columns [K, K - N] orthogonal to the orthonormal ``vectors`` [K, N]."""
    drawn = _normal(len(vectors), len(vectors) - vectors.shape[1], generator)
    return torch.linalg.qr(drawn - vectors @ (vectors.T @ drawn)).Q
