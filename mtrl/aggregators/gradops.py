"""Implements GradOPS, deconfliction by orthogonal projections onto subspaces (Zhu et al., 2025)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms, solve_factored, unit_factor
from mtrl.aggregators._linalg.interior_point import SimplexStep, simplex_step
from mtrl.aggregators.base import GramAggregator
from mtrl.aggregators.mgda import mgda_weights

VANISHED = 1e-6  # ‖g_i'‖²/‖g_i‖² up to which a projection counts as zero; float32 rounding leaves 1e-7
MIN_PROJECTION = 1e-3  # floor of r_i: with α < 0 a task at zero would take everything


def gradops_projections(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Equations 1 and 2: C [K, K] with g_i' = Σ_j C_ij g_j, and ‖g_i'‖²/‖g_i‖² [K].

    A gradient in conflict with any other is projected off the span of all others. With P the inverse of the
    cosine matrix that projection is Σ_j (P_ij/P_ii) u_j of the unit gradients u, of squared length 1/P_ii,
    so one inverse replaces K Gram-Schmidt procedures. Linearly dependent gradients get the smallest
    ridge that factorises; their projections then vanish up to its size.
    """
    norms, lower = unit_factor(gram / gram.diagonal().mean().clamp(min=TINY))
    inverse = solve_factored(lower, torch.eye(len(gram), dtype=gram.dtype, device=gram.device))  # [K, K]
    own = inverse.diagonal()
    projected = norms[:, None] * (inverse / own[:, None]) * inverse_norms(norms)  # of g_i in terms of the g_j
    conflict = (gram < 0).any(1)  # [K]
    kept = torch.diag(torch.ones_like(norms))
    left = torch.where(conflict, own.reciprocal(), 1)
    return torch.where(conflict[:, None], projected, kept), left


def gradops_weights(gram: Tensor, alpha: float, shares: Tensor, step: SimplexStep = simplex_step) -> Tensor:
    """Algorithm 1 as weights of the original gradients, [K].

    The trade-off weights are r_i^α over their mean (equations 4 and 5); r_i is bounded from below by 0.001,
    which the paper leaves open. A zero gradient has r_i = 1.

    Args:
        gram: G Gᵀ, [K, K], float64.
        alpha: the trade-off; 0 is the mean of the projections, below zero favours the dominated tasks.
        shares: what each task counts for in the mean, [K].
        step: of MGDA's solver, perhaps compiled.
    """
    norms = gram.diagonal().clamp(min=0).sqrt()
    coefficients, left = gradops_projections(gram)
    along = inverse_norms(norms) * (gram @ (shares @ coefficients))  # R_i, equation 3
    present = (norms > 0) & (shares > 0)
    mean = torch.where(present, along, 0).sum() / present.sum().clamp(min=1)
    relative = torch.where(present, along / mean.clamp(min=TINY), 1)
    trade = shares * (alpha * relative.clamp(min=MIN_PROJECTION).log()).softmax(0)
    weights = trade / trade.sum().clamp(min=TINY) @ coefficients
    vanished = ~(present & (left > VANISHED)).any()
    return torch.where(vanished, mgda_weights(gram, step), weights)


class GradOPS(GramAggregator):
    """GradOPS: projections that conflict with no gradient, weighted by one trade-off parameter.

    Falls back to MGDA where every projection vanishes, as the paper suggests. The paper sums; this is the
    mean, so K equal gradients g give g.

    Args:
        num_tasks: K.
        alpha: the trade-off; above zero favours the tasks that dominate, below zero the others.
    """

    solver_step: SimplexStep

    def __init__(self, num_tasks: int, *, alpha: float = 0.0) -> None:
        super().__init__(num_tasks)
        self.alpha = require_number(self, "alpha", alpha)
        self.solver_step = simplex_step

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.gradops(gram, shares, self.alpha)
        return gradops_weights(gram, self.alpha, shares, self.solver_step)
