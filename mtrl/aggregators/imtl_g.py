"""Implements IMTL-G, impartial multi-task learning on gradients (Liu et al., ICLR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms, solve_factored, unit_factor
from mtrl.aggregators.base import GramAggregator

MIN_SUM = 1e-4  # Σv relative to Σ|v|: bounds how long the direction can become


def imtl_g_weights(gram: Tensor) -> Tensor:
    """Weights that sum to one and give equal projections on every unit gradient (equation 4).

    With C the cosine matrix and x = C⁻¹1, they are v_i ∝ x_i/n_i. Two deliberate deviations. Where the
    paper's normalisation Σv = 1 would divide by a negative sum, its direction *increases* every loss: this
    divides by |Σv|. And |Σv| is bounded away from zero, relative to Σ|v|. Linearly dependent gradients get
    the smallest ridge that factorises instead of a pseudo-inverse; a zero gradient is left out.

    Args:
        gram: G Gᵀ, [K, K], float64.
    """
    norms, lower = unit_factor(gram / gram.diagonal().mean().clamp(min=TINY))
    x = solve_factored(lower, torch.ones_like(norms)[:, None])[:, 0]
    v = inverse_norms(norms) * x
    return v / v.sum().abs().clamp(min=MIN_SUM * v.abs().sum() + TINY)


class IMTLG(GramAggregator):
    """IMTL-G: the direction whose projections on all unit gradients are equal.

    K equal gradients g give g.
    """

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.imtl_g(gram, shares)
        return imtl_g_weights(gram)
