"""Splits a Gram matrix into norms and cosines, safely for zero rows and rounding errors of float32."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-300  # keeps quotients defined; far below any value that matters in float64
RIDGES = (1e-14, 1e-10, 1e-7, 1e-4)  # tried in this order, in units of K times the squared norms


def unit_factor(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return norms [K] and a triangular factor [K, K] of the cosine matrix: gram = (norms L)(norms L)ᵀ.

    A rank-deficient or, after float32 rounding, slightly indefinite matrix gets the smallest ridge
    that factorises; a zero row gets norm zero and stands orthogonal to the others.
    """
    num = gram.shape[0]
    norms = gram.diagonal().clamp(min=0).sqrt()  # [K]
    cosine = unit_rows(norms)[:, None] * gram * unit_rows(norms)
    identity = torch.eye(num, dtype=gram.dtype, device=gram.device)
    cosine = cosine - torch.diag(cosine.diagonal()) + identity
    candidates = torch.stack([cosine + num * ridge * identity for ridge in RIDGES])  # [R, K, K]
    factors, failed = torch.linalg.cholesky_ex(candidates)
    chosen = factors[-1]
    for index in reversed(range(len(RIDGES) - 1)):
        chosen = torch.where(failed[index] == 0, factors[index], chosen)
    return norms, chosen


def unit_rows(norms: Tensor) -> Tensor:
    """Invert ``norms`` [K], with 0 for a row without length."""
    return torch.where(norms > 0, 1 / norms.clamp(min=TINY), 0)
