"""Solves the two convex programmes behind the min-norm and worst-case methods without host syncs.

Both are followed along  multiplier·slack = μ → 0  with Mehrotra's predictor and corrector, for a fixed
number of steps; once converged, an iterate stands still. A step costs little but the launch of its
small operations, so the state is packed and updated at once. Two tasks have a closed form.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtrl.aggregators._linalg.closed_forms import max_min_of_two, min_over_segment
from mtrl.aggregators._linalg.cosines import TINY, solve_factored

SimplexStep = Callable[[Tensor, Tensor], Tensor]
BallStep = Callable[[Tensor, Tensor, Tensor], Tensor]

STEP_BACK = 0.99  # fraction of the distance to the boundary that a step may use
CONVERGED = 1e-13  # complementarity below which further steps only stir rounding errors


def simplex_step(state: Tensor, gram: Tensor) -> Tensor:
    """One step of :func:`min_over_simplex`; the state is [2, K], w and its multipliers."""
    w, multiplier = state.unbind()
    ratio = multiplier / w
    hessian = gram.clone()
    _diagonal(hessian).add_(ratio)
    lower, _ = torch.linalg.cholesky_ex(hessian)
    total = w @ multiplier  # K μ
    solved = solve_factored(lower, torch.stack([torch.ones_like(w), multiplier], 1))  # [K, 2]
    ones, pull = solved.unbind(1)
    mass = ones.sum()

    # Predictor: straight at μ = 0.
    step = torch.addcmul(-pull, pull.sum() / mass, ones)
    change = -torch.addcmul(multiplier, ratio, step)
    length = (-(torch.stack([step, change]) / state).amin()).clamp(min=1).reciprocal()
    second_order = length.square() * step * change
    left = 1 - length + second_order.sum() / total

    # Corrector: back to the central path, with the predictor's curvature taken into account.
    right = (left.clamp(0, 1) ** 3 * total / len(gram) - second_order) / w - multiplier
    pull = solve_factored(lower, right[:, None])[:, 0]
    step = torch.addcmul(pull, -pull.sum() / mass, ones)
    move = torch.stack([step, torch.addcmul(right, -ratio, step)])  # [2, K]
    length = STEP_BACK * (-(move / state).amin()).clamp(min=STEP_BACK).reciprocal()
    # A failed factorisation yields NaN, which is not > 0: stand still rather than lose the iterate.
    usable = (length > 0) & (total > CONVERGED)
    return torch.where(usable, torch.addcmul(state, length, move), state)


def min_over_simplex(
    gram: Tensor, linear: Tensor, iterations: int = 16, step: SimplexStep = simplex_step
) -> Tensor:
    """Solve  min ½ wᵀ gram w + linearᵀ w  over the probability simplex.

    The start is feasible for both the primal and the dual and equal step lengths keep it so; every step
    costs one factorisation.

    Args:
        gram: [K, K], float64, positive semi-definite up to rounding, of order one.
        linear: [K], float64.
        iterations: 15 reach a relative gap of 1e-8 at K = 100 on ill-conditioned problems.
        step: :func:`simplex_step`, perhaps compiled.

    Returns:
        w [K] >= 0, which sums to 1.
    """
    num = gram.shape[0]
    if num == 2:
        return min_over_segment(gram, linear)
    w = torch.full_like(linear, 1 / num)
    slope = gram @ w + linear  # [K]
    spread = 0.1 * gram.diagonal().mean().clamp(min=TINY)
    state = torch.stack([w, slope - slope.min() + spread])  # [2, K]
    for _ in range(iterations):
        state = step(state, gram)
    return state[0] / state[0].sum()


def ball_step(state: Tensor, jacobian: Tensor, last: Tensor) -> Tensor:
    """One step of :func:`max_min_in_ball`.

    Args:
        state: [3, K+1], the point (u, z), the slacks and their multipliers (w, ν).
        jacobian: [K+1, K+1], of the slacks; its last row, −u, is overwritten.
        last: [K+1], one in the last place: z among the coordinates, the ball among the slacks.
    """
    others, half_last = 1 - last, 0.5 * last  # the coordinates that are u
    transposed, outward = jacobian.T, jacobian[-1]
    point, slack, multiplier = state.unbind()
    outward.copy_(-others * point)
    ratio = multiplier / slack
    hessian = (transposed * ratio) @ jacobian
    _diagonal(hessian).addcmul_(others, multiplier[-1]).mul_(1 + 1e-15)
    lower, _ = torch.linalg.cholesky_ex(hessian)
    total = multiplier @ slack  # (K+1) μ
    missed = torch.addcmul(half_last, half_last, outward @ outward, value=-1) - last * slack
    demand = ratio * missed

    # Predictor: straight at μ = 0. Slacks change by relative, multipliers fall by 1 + relative.
    right = torch.addmv(last, transposed, demand, alpha=-1)
    step = solve_factored(lower, right[:, None])[:, 0]
    rise = torch.addmv(missed, jacobian, step)  # [K+1], of the slacks
    relative = rise / slack
    reach = (relative + 0.5).abs().amax() + 0.5  # max(1 + relative, −relative)
    length = reach.clamp(min=1).reciprocal()
    squared = length.square()
    spent = torch.addcmul(multiplier, multiplier, relative)  # [K+1], the multipliers' fall
    moved = others * step
    bend = (half_last * multiplier) * (moved @ moved)  # the ball's slack is quadratic
    second_order = squared * torch.addcmul(bend, spent, rise)
    left = 1 - length - second_order.sum() / total
    target = left.clamp(0, 1) ** 3 * (total / len(last)) + second_order

    # Corrector: back to the central path, with the predictor's curvature taken into account.
    pull = torch.addcmul(last, squared * spent[-1], moved)
    right = torch.addmv(pull, transposed, target / slack - demand)
    step = solve_factored(lower, right[:, None])[:, 0]
    rise = torch.addmv(missed, jacobian, step)
    change = torch.addcmul(target, multiplier, rise, value=-1) / slack - multiplier
    move = torch.stack([step, rise, change])
    steepest = -(move[1:] / state[1:]).amin()
    # No further than the ball's radius, where the linearised ball means something.
    reach = torch.maximum(steepest, torch.linalg.vector_norm(others * step))
    length = STEP_BACK * reach.clamp(min=STEP_BACK).reciprocal()
    # A failed factorisation yields NaN, which is not > 0: stand still rather than lose the iterate.
    usable = (length > 0) & (total > CONVERGED)
    return torch.where(usable, torch.addcmul(state, length, move), state)


def max_min_in_ball(
    offsets: Tensor, factor: Tensor, iterations: int, step: BallStep = ball_step
) -> tuple[Tensor, Tensor]:
    """Solve  max_u min_i (offsets_i + factor_i · u)  subject to  ‖u‖ <= 1.

    Written as  max z  with the slacks  offsets + factor u − z·1 >= 0  and  ½(1 − uᵀu) >= 0, whose multipliers
    are w (on the simplex) and ν. u = 0 is strictly feasible, so there is no phase one. The ball's slack is a
    variable of its own that u may miss on the way: kept exact, the sphere's curvature would halve the steps.
    Scale the problem to order one first.

    Args:
        offsets: [K], float64.
        factor: [K, K], float64; of any rank.
        iterations: 14 at K = 10 and 17 at K = 50 reach a relative gap of 1e-4 on ill-conditioned problems.
        step: :func:`ball_step`, perhaps compiled.

    Returns:
        The maximiser u [K] and the multipliers w [K] >= 0, which sum to 1.
    """
    num = offsets.shape[0]
    if num == 2:
        return max_min_of_two(offsets, factor)
    one = torch.ones_like(offsets[:1])  # [1]
    last = torch.cat([torch.zeros_like(offsets), one])  # [K+1]
    tasks = torch.cat([factor, -torch.ones_like(offsets)[:, None]], dim=1)  # [K, K+1]
    jacobian = torch.cat([tasks, last[None]])  # [K+1, K+1]
    lowest = offsets.min() - 1
    slack = torch.cat([offsets - lowest, 0.5 * one])  # [K+1]
    multiplier = torch.cat([torch.full_like(offsets, 1 / num), 2 / num * one])  # [K+1], (w, ν)
    state = torch.stack([last * lowest, slack, multiplier])  # [3, K+1]
    for _ in range(iterations):
        state = step(state, jacobian, last)
    u, w = state[0, :-1], state[2, :-1]
    return u / torch.linalg.vector_norm(u).clamp(min=1), w / w.sum()


def _diagonal(matrix: Tensor) -> Tensor:
    """A view [K] of the diagonal of [K, K]; PyTorch's compiler warns about its own ``diagonal``."""
    return matrix.view(-1)[:: len(matrix) + 1]
