"""The two convex programmes behind the min-norm and worst-case methods, as K x K algebra without host syncs.

Both are followed along  multiplier·slack = μ → 0  with Mehrotra's predictor and corrector, for a fixed
number of steps; once converged, an iterate stands still. A step costs little but the launch of its
small operations, so the state is packed and updated at once. Two tasks have a closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators.two_tasks import max_min_of_two, min_over_segment

STEP_BACK = 0.99  # fraction of the distance to the boundary that a step may use
CONVERGED = 1e-13  # complementarity below which further steps only stir rounding errors
SMALLEST = 1e-300  # keeps quotients defined; far below any value that matters in float64
RIDGES = (1e-14, 1e-10, 1e-7, 1e-4)  # tried in this order, in units of K times the squared norms


def min_over_simplex(gram: Tensor, linear: Tensor, iterations: int = 16) -> Tensor:
    """Solve  min ½ wᵀ gram w + linearᵀ w  over the probability simplex.

    The start is feasible for both the primal and the dual and equal step lengths keep it so; every step
    costs one factorisation.

    Args:
        gram: [K, K], float64, positive semi-definite up to rounding, of order one.
        linear: [K], float64.
        iterations: 15 reach a relative gap of 1e-8 at K = 100 on ill-conditioned problems.

    Returns:
        w [K] >= 0, which sums to 1.
    """
    num = gram.shape[0]
    if num == 2:
        return min_over_segment(gram, linear)
    w = torch.full_like(linear, 1 / num)
    slope = gram @ w + linear  # [K]
    spread = 0.1 * gram.diagonal().mean().clamp(min=SMALLEST)
    state = torch.stack([w, slope - slope.min() + spread])  # [2, K], (w, its multipliers)
    for _ in range(iterations):
        w, multiplier = state.unbind()
        ratio = multiplier / w
        hessian = gram.clone()
        hessian.diagonal().add_(ratio)
        lower, _ = torch.linalg.cholesky_ex(hessian)
        total = w @ multiplier  # K μ
        solved = torch.cholesky_solve(torch.stack([torch.ones_like(w), multiplier], 1), lower)  # [K, 2]
        ones, pull = solved.unbind(1)
        mass = ones.sum()

        # Predictor: straight at μ = 0.
        step = torch.addcmul(-pull, pull.sum() / mass, ones)
        change = -torch.addcmul(multiplier, ratio, step)
        length = (-(torch.stack([step, change]) / state).amin()).clamp(min=1).reciprocal()
        second_order = length.square() * step * change
        left = 1 - length + second_order.sum() / total

        # Corrector: back to the central path, with the predictor's curvature taken into account.
        right = (left.clamp(0, 1) ** 3 * total / num - second_order) / w - multiplier
        pull = torch.cholesky_solve(right[:, None], lower)[:, 0]
        step = torch.addcmul(pull, -pull.sum() / mass, ones)
        move = torch.stack([step, torch.addcmul(right, -ratio, step)])  # [2, K]
        length = STEP_BACK * (-(move / state).amin()).clamp(min=STEP_BACK).reciprocal()
        # A failed factorisation yields NaN, which is not > 0: stand still rather than lose the iterate.
        usable = (length > 0) & (total > CONVERGED)
        state = torch.where(usable, torch.addcmul(state, length, move), state)
    return state[0] / state[0].sum()


def max_min_in_ball(offsets: Tensor, factor: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Solve  max_u min_i (offsets_i + factor_i · u)  subject to  ‖u‖ <= 1.

    Written as  max z  subject to the slacks  offsets + factor u − z·1 >= 0  and  ½(1 − uᵀu) >= 0, whose
    multipliers are w (on the simplex) and ν. u = 0 is strictly feasible, so there is no phase one.
    Scale the problem to order one first.

    Args:
        offsets: [K], float64.
        factor: [K, K], float64; of any rank.
        iterations: 15 at K = 10 and 25 at K = 50 reach a relative gap of 1e-4 on ill-conditioned problems.

    Returns:
        The maximiser u [K] and the multipliers w [K] >= 0, which sum to 1.
    """
    num = offsets.shape[0]
    if num == 2:
        return max_min_of_two(offsets, factor)
    one = torch.ones_like(offsets[:1])  # [1]
    in_ball = torch.cat([torch.ones_like(offsets), 0 * one])  # [K+1], the coordinates that are u
    objective, outward = 1 - in_ball, -in_ball  # [K+1]; objective picks z
    tasks = torch.cat([factor, -torch.ones_like(offsets)[:, None]], dim=1)  # [K, K+1]
    jacobian = torch.cat([tasks, 0 * in_ball[None]])  # [K+1, K+1]; the last row is −u
    lowest = offsets.min() - 1
    slack = torch.cat([offsets - lowest, 0.5 * one])  # [K+1]
    multiplier = torch.cat([torch.full_like(offsets, 1 / num), 2 / num * one])  # [K+1], (w, ν)
    state = torch.stack([objective * lowest, slack, multiplier])  # [3, K+1], the first is (u, z)
    for _ in range(iterations):
        point, slack, multiplier = state.unbind()
        jacobian[-1] = point * outward
        weighted = jacobian.T / slack  # [K+1, K+1]
        hessian = (weighted * multiplier) @ jacobian
        hessian.diagonal().add_(multiplier[-1] * in_ball).mul_(1 + 1e-15)
        lower, _ = torch.linalg.cholesky_ex(hessian)
        total = multiplier @ slack  # (K+1) μ

        # Predictor: straight at μ = 0.
        step = torch.cholesky_solve(objective[:, None], lower)[:, 0]
        linear = jacobian @ step
        relative = linear / slack
        low, high = relative.aminmax()
        length = torch.maximum(1 + high, -low).clamp(min=1).reciprocal()
        squared = length.square()
        spent = torch.addcmul(multiplier, multiplier, relative)  # [K+1], the multipliers' decrease
        moved = in_ball * step
        second_order = spent * linear
        second_order[-1] += 0.5 * multiplier[-1] * (moved @ step)  # the ball's slack is quadratic
        second_order = squared * second_order
        left = 1 - length - second_order.sum() / total
        target = left.clamp(0, 1) ** 3 * (total / (num + 1)) + second_order

        # Corrector: back to the central path, with the predictor's curvature taken into account.
        pull = torch.addcmul(objective, squared * spent[-1], moved)
        right = torch.addmv(pull, weighted, target)
        step = torch.cholesky_solve(right[:, None], lower)[:, 0]
        linear = jacobian @ step
        change = (target - multiplier * linear) / slack - multiplier
        bend = 0.5 * (in_ball * step) @ step
        half = -0.5 * linear[-1]
        to_sphere = slack[-1] / (half + (half.square() + bend * slack[-1]).sqrt()).clamp(min=SMALLEST)
        steepest = -torch.minimum((linear / slack)[:-1].min(), (change / multiplier).min())
        length = STEP_BACK * torch.minimum(to_sphere, steepest.clamp(min=STEP_BACK).reciprocal())
        linear[-1] -= length * bend
        # A failed factorisation yields NaN, which is not > 0: stand still rather than lose the iterate.
        usable = (length > 0) & (total > CONVERGED)
        move = torch.stack([step, linear, change])
        state = torch.where(usable, torch.addcmul(state, length.clamp(max=1), move), state)
    w = state[2, :-1]
    return state[0, :-1], w / w.sum()


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
