"""Solves linear systems with a factored matrix, without reading a status on the host."""

from __future__ import annotations

from torch import Tensor
from torch.linalg import solve_triangular


def solve_factored(lower: Tensor, right: Tensor) -> Tensor:
    """Return X [K, N] with  lower lowerᵀ X = right [K, N].

    ``torch.cholesky_solve`` and ``torch.cholesky_inverse`` would read a status on the host, which on a GPU
    may wait for all that was launched before.
    """
    return solve_triangular(lower.mT, solve_triangular(lower, right, upper=False), upper=True)
