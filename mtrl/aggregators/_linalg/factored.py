"""Linear systems whose matrix is factored, solved without a look at the outcome by the host."""

from __future__ import annotations

from torch import Tensor
from torch.linalg import solve_triangular


def solve_factored(lower: Tensor, right: Tensor) -> Tensor:
    """X [K, N] with  lower lowerᵀ X = right [K, N].

    ``torch.cholesky_solve`` and ``torch.cholesky_inverse`` would read a status on the host, which on a GPU
    may wait for all that was launched before.
    """
    return solve_triangular(lower.mT, solve_triangular(lower, right, upper=False), upper=True)
