"""Implements FairGrad, fair resource allocation (Ban and Ji, ICML 2024); Nash-MTL is its case α = 1."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms, solve_factored, unit_factor
from mtrl.aggregators.base import GramAggregator

STEP_BACK = 0.95  # fraction of the distance to the boundary that a step may use
ITERATIONS = 30


def alpha_fair_weights(gram: Tensor, alpha: float) -> Tensor:
    """Solve  gram w = w^(−1/α),  w > 0  (equation 4), up to a common factor.

    In the coordinates x_i = w_i n_i of unit gradients this is  C x = y,  log y + log(x)/α = log(e), for
    which a damped Newton method in (x, y) > 0 needs one factorisation a step. Where some combination
    with positive weights vanishes there is no solution: x grows towards that combination. A zero
    gradient gets weight zero.

    Args:
        gram: G Gᵀ, [K, K], float64.
        alpha: the kind of fairness, > 0.

    Returns:
        w [K] for gram divided by its mean diagonal.
    """
    norms, lower = unit_factor(gram / gram.diagonal().mean().clamp(min=TINY))
    cosine = lower @ lower.T
    # (Cx)_i = n_i^(1/α − 1) x_i^(−1/α), from n_i (Cx)_i = (x_i/n_i)^(−1/α)
    goal = (1 / alpha - 1) * torch.where(norms > 0, norms, 1).log()  # [K], log e
    x = (alpha * goal / (1 + alpha)).exp()  # the solution for orthogonal gradients
    state = torch.stack([x, x])  # [2, K], (x, y)
    for _ in range(ITERATIONS):
        x, y = state.unbind()
        slope = y / (alpha * x)
        missing = y * (goal - y.log() - x.log() / alpha)  # [K]
        matrix = cosine.clone()
        matrix.diagonal().add_(slope)
        factor, _ = torch.linalg.cholesky_ex(matrix)
        step = solve_factored(factor, (y - cosine @ x + missing)[:, None])[:, 0]
        move = torch.stack([step, missing - slope * step])  # [2, K]
        length = (STEP_BACK * (-(move / state).amin()).clamp(min=TINY).reciprocal()).clamp(max=1)
        # A failed factorisation yields NaN, which is not > 0: stand still rather than lose the iterate.
        state = torch.where(length > 0, torch.addcmul(state, length, move), state)
    return state[0] * inverse_norms(norms)


def sum_to_one(weights: Tensor) -> Tensor:
    """Positive weights divided by their sum; zeros if there are none."""
    return weights / weights.sum().clamp(min=TINY)


class FairGrad(GramAggregator):
    """FairGrad: improvements shared by α-fairness; 1 is proportional fairness, larger helps the worst off.

    The paper's length depends on α (d scales with the gradients to the power (1 − α)/(1 + α)); these
    weights are divided by their sum, so K equal gradients g give g.

    Args:
        num_tasks: K.
        alpha: the kind of fairness; the paper uses 1 or 2.
    """

    def __init__(self, num_tasks: int, *, alpha: float = 2.0) -> None:
        super().__init__(num_tasks)
        self.alpha = require_number(self, "alpha", alpha, above=0)

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.alpha_fair(gram, shares, self.alpha)
        return sum_to_one(alpha_fair_weights(gram, self.alpha))
