"""Factors Gram matrices of gradients that may be zero, and solves with the factors, without host syncs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.linalg import solve_triangular

TINY = 1e-300  # keeps quotients defined; far below any value that matters in float64
RIDGES = (1e-14, 1e-10, 1e-7, 1e-4)  # tried in this order, in units of K times the squared norms


def unit_factor(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return norms [K] and a triangular factor [K, K] of the cosine matrix: gram = (norms L)(norms L)ᵀ.

    A rank-deficient or, after float32 rounding, slightly indefinite matrix gets the smallest ridge
    that factorises; a zero gradient gets norm zero and stands orthogonal to the others.
    """
    norms, cosine = unit_cosines(gram)
    identity = torch.diag(torch.ones_like(norms))
    candidates = torch.stack([cosine + len(gram) * ridge * identity for ridge in RIDGES])  # [R, K, K]
    factors, failed = torch.linalg.cholesky_ex(candidates)
    return norms, first_that(failed == 0, factors)


def unit_cosines(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return norms [K] and cosines [K, K]; a zero gradient stands orthogonal to the others."""
    norms = gram.diagonal().clamp(min=0).sqrt()  # [K]
    cosine = inverse_norms(norms)[:, None] * gram * inverse_norms(norms)
    return norms, cosine - torch.diag(cosine.diagonal()) + torch.diag(torch.ones_like(norms))


def first_that(holds: Tensor, values: Tensor) -> Tensor:
    """The first of ``values`` [R, ...] where ``holds`` [R]; the last one if none does."""
    chosen = values[-1]
    for index in reversed(range(len(values) - 1)):
        chosen = torch.where(holds[index], values[index], chosen)
    return chosen


def inverse_norms(norms: Tensor) -> Tensor:
    """1 / norms, and 0 for a gradient without length."""
    return torch.where(norms > 0, 1 / norms.clamp(min=TINY), 0)


def solve_factored(lower: Tensor, right: Tensor) -> Tensor:
    """X [K, N] with  lower lowerᵀ X = right [K, N].

    ``torch.cholesky_solve`` and ``torch.cholesky_inverse`` would read a status on the host, which on a GPU
    may wait for all that was launched before.
    """
    return solve_triangular(lower.mT, solve_triangular(lower, right, upper=False), upper=True)
