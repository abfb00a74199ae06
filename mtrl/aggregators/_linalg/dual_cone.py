"""Projects vectors onto the cone of directions that conflict with no gradient, without host syncs.

By an interior-point method like that of :mod:`mtrl.aggregators._linalg.interior_point`, for a fixed number of
steps. Each vector has an iterate of its own, all move in one batch, and one that has converged stands still.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms, solve_factored, unit_factor

ConeStep = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

STEP_BACK = 0.995  # fraction of the distance to the boundary that a step may use
CONVERGED = 1e-18  # complementarity below which further steps only stir rounding errors
ITERATIONS = 25  # 15 reach 1e-12, unless a product and its multiplier both vanish: then these leave 1e-8


def dual_cone_step(state: Tensor, cosine: Tensor, lower: Tensor, cost: Tensor) -> Tensor:
    """One step of  min ½ zᵀ cosine z + costᵀz  subject to  z >= lower, for each of N lower bounds.

    Args:
        state: [2, N, K], the slacks z − lower and their multipliers cosine z + cost, which it may yet miss.
        cosine: [K, K].
        lower: [N, K].
        cost: [K].
    """
    slack, multiplier = state.unbind()
    ratio = multiplier / slack
    factor, _ = torch.linalg.cholesky_ex(cosine + torch.diag_embed(ratio))  # [N, K, K]
    missed = (lower + slack) @ cosine + cost - multiplier  # [N, K]
    total = (slack * multiplier).sum(1, keepdim=True)  # [N, 1], K μ

    # Predictor: straight at μ = 0.
    step = solve_factored(factor, -(missed + multiplier)[:, :, None])[:, :, 0]
    change = -multiplier - ratio * step
    length = _reach(state, step, change)
    left = ((slack + length * step) * (multiplier + length * change)).sum(1, keepdim=True) / total

    # Corrector: back to the central path, with the predictor's curvature taken into account.
    goal = (left**3 * total / slack.shape[1] - step * change) / slack - multiplier
    step = solve_factored(factor, (goal - missed)[:, :, None])[:, :, 0]
    change = goal - ratio * step
    length = STEP_BACK * _reach(state, step, change)
    # A failed factorisation yields NaN, which is not > 0: stand still rather than lose the iterate.
    usable = (length > 0) & (total > CONVERGED)
    return torch.where(usable, state + length * torch.stack([step, change]), state)


def _reach(state: Tensor, step: Tensor, change: Tensor) -> Tensor:
    """How far, at most 1, slacks and multipliers stay positive, [N, 1]."""
    steepest = (-torch.stack([step, change]) / state).amax((0, 2))
    return steepest.clamp(min=1).reciprocal()[:, None]


def project_onto_dual_cone(gram: Tensor, weights: Tensor, step: ConeStep = dual_cone_step) -> Tensor:
    """Find the directions nearest to some combinations of gradients that conflict with no gradient.

    For each u of ``weights`` that is  min vᵀ gram v  subject to  v >= u: Gᵀv is the point of the dual cone
    {d : Gd >= 0} nearest to Gᵀu. It is solved for unit gradients, so that no gradient's length counts, and
    with linearly dependent gradients plus the smallest ridge that factorises.

    Args:
        gram: G Gᵀ, [K, K], float64.
        weights: u, [N, K], float64, >= 0.
        step: of the interior-point method, perhaps compiled.

    Returns:
        v [N, K].
    """
    if has_kernel(gram):
        return operators.dual_cone(gram, weights, ITERATIONS)
    norms, factor = unit_factor(gram / gram.diagonal().mean().clamp(min=TINY))
    bounds = weights * norms  # [N, K]
    unit = bounds.amax(1, keepdim=True)  # [N, 1]
    lower = bounds / unit.clamp(min=TINY)
    cosine = factor @ factor.T
    absent = (norms == 0).double()  # a cost keeps their slack at zero, and the iterates short
    state = torch.ones(2, *lower.shape, dtype=lower.dtype, device=lower.device)
    for _ in range(ITERATIONS):
        state = step(state, cosine, lower, absent)
    return (lower + state[0]) * unit * inverse_norms(norms)
