"""The largest worst-case improvement inside a ball, as K x K algebra without host syncs."""

from __future__ import annotations

import torch
from torch import Tensor

STEP_BACK = 0.99  # fraction of the distance to the boundary that a step may use
CONVERGED = 1e-13  # complementarity below which further steps only stir rounding errors
SMALLEST = 1e-300  # keeps quotients defined; far below any value that matters in float64
RIDGES = (1e-14, 1e-10, 1e-7, 1e-4)  # tried in this order, in units of K times the squared norms


def max_min_in_ball(offsets: Tensor, factor: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Solve  max_u min_i (offsets_i + factor_i · u)  subject to  ‖u‖ <= 1.

    Written as  max z  subject to the slacks  offsets + factor u − z·1 >= 0  and  1 − uᵀu >= 0, whose
    multipliers are w (on the simplex) and ν; followed along  multiplier·slack = μ → 0  with Mehrotra's
    predictor and corrector. u = 0 is strictly feasible, so there is no phase one, and the number of
    iterations is fixed, so nothing is compared on the host. Scale the problem to order one first.

    Args:
        offsets: [K], float64.
        factor: [K, K], float64; of any rank.
        iterations: 15 to 20 suffice for a relative gap of 1e-4 on ill-conditioned problems.

    Returns:
        The maximiser u [K] and the multipliers w [K] >= 0, which sum to 1.
    """
    num = offsets.shape[0]
    one = torch.ones_like(offsets[:1])  # [1]
    in_ball = torch.cat([torch.ones_like(offsets), 0 * one])  # [K+1], the coordinates that are u
    objective = 1 - in_ball  # [K+1], picks z
    tasks = torch.cat([factor, -torch.ones_like(offsets)[:, None]], dim=1)  # [K, K+1]
    point = objective * (offsets.min() - 1)  # [K+1], (u, z)
    slack = torch.cat([offsets - point[-1], one])  # [K+1]
    multiplier = torch.full_like(slack, 1 / num)  # [K+1], (w, ν)
    for _ in range(iterations):
        jacobian = torch.cat([tasks, (-2 * in_ball * point)[None]])  # [K+1, K+1]
        ratio = multiplier / slack
        hessian = jacobian.T @ (ratio[:, None] * jacobian) + torch.diag(2 * multiplier[-1] * in_ball)
        lower, _ = torch.linalg.cholesky_ex(hessian + torch.diag(1e-15 * hessian.diagonal()))
        total = multiplier @ slack  # (K+1) μ

        # Predictor: straight at μ = 0.
        step = torch.cholesky_solve(objective[:, None], lower)[:, 0]
        linear = jacobian @ step
        relative = linear / slack
        length = 1 / torch.maximum(1 + relative.max(), -relative.min()).clamp(min=1)
        change = -multiplier * (1 + relative)
        bend = _last(in_ball * step, step, num)  # [K+1], ‖Δu‖² in the ball's slack
        second_order = change * linear - multiplier * bend
        left = 1 - length + length**2 * second_order.sum() / total
        target = left.clamp(0, 1) ** 3 * total / (num + 1) - length**2 * second_order

        # Corrector: back to the central path, with the predictor's curvature taken into account.
        pull = objective - 2 * length**2 * change[-1] * in_ball * step
        right = jacobian.T @ (target / slack) + pull
        step = torch.cholesky_solve(right[:, None], lower)[:, 0]
        linear = jacobian @ step
        change = target / slack - multiplier - ratio * linear
        bend = _last(in_ball * step, step, num)
        half = -0.5 * linear[-1]
        to_sphere = slack[-1] / (half + (half**2 + bend[-1] * slack[-1]).sqrt()).clamp(min=SMALLEST)
        steepest = -torch.minimum((linear / slack)[:-1].min(), (change / multiplier).min())
        length = STEP_BACK * torch.minimum(to_sphere, 1 / steepest.clamp(min=SMALLEST))
        # A failed factorisation yields NaN: stand still rather than lose the iterate.
        usable = torch.isfinite(length) & torch.isfinite(step).all() & (total > CONVERGED)
        length = torch.where(usable, length.clamp(max=1), 0)
        step, change = torch.where(usable, step, 0), torch.where(usable, change, 0)
        linear, bend = torch.where(usable, linear, 0), torch.where(usable, bend, 0)
        point = point + length * step
        slack = slack + length * linear - length**2 * bend
        multiplier = multiplier + length * change
    w = multiplier[:-1]
    return point[:-1], w / w.sum()


def _last(left: Tensor, right: Tensor, num: int) -> Tensor:
    """``left @ right`` in the last of num + 1 places, zeros before it."""
    return torch.nn.functional.pad((left @ right)[None], (num, 0))


def unit_factor(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Norms [K] and a triangular factor [K, K] of the cosine matrix: gram = (norms L)(norms L)ᵀ.

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
    """1 / norms, and 0 for a row without length."""
    return torch.where(norms > 0, 1 / norms.clamp(min=SMALLEST), 0)
