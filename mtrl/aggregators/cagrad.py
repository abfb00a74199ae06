"""Implements CAGrad, conflict-averse gradient descent (Liu et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.linalg import solve_triangular

from mtrl.aggregators._hyperparameters import require_choice, require_number
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.closed_forms import max_min_of_two
from mtrl.aggregators._linalg.cosines import (
    TINY,
    first_that,
    inverse_norms,
    solve_factored,
    unit_cosines,
)
from mtrl.aggregators._linalg.interior_point import STEP_BACK
from mtrl.aggregators.base import GramAggregator

BallStep = Callable[[Tensor, Tensor, Tensor], Tensor]
Solver = Literal["exact", "sgd"]
Rescale = Literal["none", "1+c2"]
SGD_STEPS = 20
# Complementarity at which a step ends the search. Where many directions are optimal all of them are equal up
# to rounding, and going on would look for the one that rounding prefers.
CONVERGED = 1e-8
INACTIVE = 1e-7  # the multiplier of a ball that binds no more, as where g_w vanishes
# What a combination of K unit gradients must at least be long, squared and in units of K, to count: shorter
# ones are rounding. Bounds the weights; the larger are for products that are rounded to float32.
RIDGES = (1e-10, 1e-7, 1e-4)


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
    diagonal = hessian.view(-1)[
        :: len(last) + 1
    ]  # a view, as PyTorch's own ``diagonal``, but without a warning
    diagonal.addcmul_(others, multiplier[-1]).mul_(1 + 1e-15)
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
    usable = (length > 0) & (total > CONVERGED) & (multiplier[-1] > INACTIVE)
    return torch.where(usable, torch.addcmul(state, length, move), state)


def cagrad_weights(gram: Tensor, c: float, shares: Tensor | None = None) -> Tensor:
    """CAGrad's direction as weights of the task gradients.

    Args:
        gram: G Gᵀ, [K, K], float64.
        c: radius of the ball around the mean gradient g_0, in units of ‖g_0‖.
        shares: g_0 = Gᵀ shares, [K]; uniform if left out.

    Returns:
        v [K] with d = Gᵀv.
    """
    return solve_cagrad(gram, c, torch.full_like(gram[0], 1 / len(gram)) if shares is None else shares)[0]


def cagrad_multipliers(gram: Tensor, c: float) -> Tensor:
    """The w [K] on the simplex that minimises  F(w) = ⟨g_w, g_0⟩ + c‖g_0‖‖g_w‖  (Algorithm 1).

    By duality F(w) bounds min_i ⟨g_i, d⟩ from above for every w (equation 12); this w gives the least bound.

    Args:
        gram: G Gᵀ, [K, K], float64.
        c: as in :func:`cagrad_weights`.
    """
    return solve_cagrad(gram, c, torch.full_like(gram[0], 1 / len(gram)))[1]


def solve_cagrad(gram: Tensor, c: float, shares: Tensor, step: BallStep = ball_step) -> tuple[Tensor, Tensor]:
    """CAGrad's direction and its multipliers, by an interior-point method.

    Solves  max over ‖d − g_0‖ <= c‖g_0‖ of min_i ⟨g_i, d⟩  (equation 3), with g_0 the mean gradient. With w
    the multipliers of the K inner products, d is the paper's g_0 + c‖g_0‖ g_w/‖g_w‖ (Algorithm 1); where the
    best g_w = Gᵀw vanishes, that formula divides by zero and many directions are optimal: this one
    is then their analytic centre. A zero gradient, which no direction helps, is left out of the minimum.

    Args:
        gram, c, shares: as in :func:`cagrad_weights`.
        step: of the interior-point method, perhaps compiled.

    Returns:
        v [K] with d = Gᵀv, and w [K].
    """
    scaled = gram / gram.diagonal().mean().clamp(min=TINY)
    towards_mean = scaled @ shares  # [K], ⟨g_i, g_0⟩
    radius = c * (shares @ towards_mean).clamp(min=0).sqrt()
    norms, cosine = unit_cosines(scaled)
    ridge, lower, inner = ball_coordinates(cosine)
    unit = (towards_mean.abs().max() + radius * norms.max()).clamp(min=TINY)
    factor = norms[:, None] * inner  # [K, K], the gradients in K coordinates
    offsets = torch.where(norms > 0, towards_mean / unit, 2)  # the others stay below 1
    u, w = max_min_in_ball(offsets, factor * (radius / unit), 14 + len(gram) // 16, step)
    v = solve_triangular(lower.mT, u[:, None], upper=True)
    v = (v - ridge * solve_factored(lower, v))[:, 0]  # less of what rounding alone keeps from vanishing
    return shares + radius * inverse_norms(norms) * v, w


def ball_coordinates(cosine: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates u = Lᵀv of the combinations v of K unit gradients, such that ‖u‖ is at least v's length.

    L Lᵀ is the cosine matrix C with a ridge ρ. So a combination that vanishes still takes room in the ball
    and gains nothing in any inner product, C v = C L⁻ᵀu: it is left alone.

    Returns:
        ρ, L [K, K], and C L⁻ᵀ [K, K], the unit gradients in these coordinates.
    """
    ridges = torch.stack([torch.full_like(cosine[0, 0], len(cosine) * ridge) for ridge in RIDGES])
    identity = torch.diag(torch.ones_like(cosine[0]))
    # Definite by half the ridge: what is only just definite would have coordinates of any size.
    _, failed = torch.linalg.cholesky_ex(cosine + ridges[:, None, None] / 2 * identity)
    ridge = first_that(failed == 0, ridges)
    lower, _ = torch.linalg.cholesky_ex(cosine + ridge * identity)
    return ridge, lower, solve_triangular(lower, cosine, upper=False).mT


def max_min_in_ball(
    offsets: Tensor, factor: Tensor, iterations: int, step: BallStep = ball_step
) -> tuple[Tensor, Tensor]:
    """Solve  max_u min_i (offsets_i + factor_i · u)  subject to  ‖u‖ <= 1.

    By an interior-point method like that of :mod:`mtrl.aggregators._linalg.interior_point`, as  max z  with
    the slacks  offsets + factor u − z·1 >= 0  and  ½(1 − uᵀu) >= 0, whose multipliers are w (on the simplex)
    and ν. u = 0 is strictly feasible, so there is no phase one. The ball's slack is a variable of its own
    that u may miss on the way: kept exact, the sphere's curvature would halve the steps. Scale the problem to
    order one first.

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


def cagrad_weights_sgd(gram: Tensor, c: float, learning_rate: float, shares: Tensor | None = None) -> Tensor:
    """The approximate solver of the papers' reinforcement-learning runs (appendix B.3).

    Twenty steps of heavy-ball descent (momentum 0.5) on softmax logits that start uniform, on the Gram
    matrix divided by the square of the mean norm; the best iterate counts. The constants 1e-4 are the
    published code's, but for the one under each norm, which would depend on the gradients' scale; and where
    they lead out of the ball, this stops at its surface.
    """
    num = gram.shape[0]
    mean = torch.full_like(gram[0], 1 / num) if shares is None else shares  # [K]
    counted = mean > 0
    norms = torch.where(counted, gram.diagonal().clamp(min=0).sqrt(), 0)
    scaled = gram / (norms.sum() / counted.sum().clamp(min=1)).square().clamp(min=TINY)
    towards_mean = scaled @ mean
    square = (mean @ towards_mean).clamp(min=0)
    radius = c * (square + 1e-4).sqrt()
    logits = torch.where(gram.diagonal() > 0, torch.zeros_like(mean), -1e30)
    velocity = torch.zeros_like(mean)
    best, best_value = mean, torch.full_like(radius, torch.inf)
    for iteration in range(SGD_STEPS + 1):
        w = logits.softmax(0)
        product = scaled @ w
        norm = (w @ product + 1e-4).clamp(min=1e-4).sqrt()
        value = w @ towards_mean + radius * norm
        better = value < best_value
        best, best_value = torch.where(better, w, best), torch.where(better, value, best_value)
        if iteration < SGD_STEPS:
            slope = towards_mean + radius * product / norm
            velocity = 0.5 * velocity + w * (slope - w @ slope)
            logits = logits - learning_rate * velocity
    own = (best @ scaled @ best).clamp(min=0)
    length = radius / ((own + 1e-4).sqrt() + 1e-4)
    surface = c * (square / own.clamp(min=TINY)).sqrt()
    return mean + torch.minimum(length, surface) * best


class CAGrad(GramAggregator):
    """CAGrad: the direction near the mean gradient that helps the worst-off task most.

    K equal gradients g give (1 + c) g, as in the paper; ``rescale="1+c2"`` divides by 1 + c², which is
    what the authors' reinforcement-learning code does.

    Args:
        num_tasks: K.
        c: how far the direction may leave the mean gradient, as a fraction of its norm; 0 is the mean,
            and towards infinity the direction becomes MGDA's.
        solver: ``"exact"`` (interior point) or ``"sgd"`` (the papers' 20 steps of softmax descent,
            which leave a visible gap at many tasks).
        rescale: ``"none"`` or ``"1+c2"``.
        learning_rate: of ``solver="sgd"``; the paper uses 25 on MT10 and 50 on MT50.

    Raises:
        UsageError: for a value outside its range.
    """

    solver_step: BallStep

    def __init__(
        self,
        num_tasks: int,
        *,
        c: float = 0.5,
        solver: Solver = "exact",
        rescale: Rescale = "none",
        learning_rate: float = 25.0,
    ) -> None:
        super().__init__(num_tasks)
        self.c = require_number(self, "c", c, low=0)
        require_choice(self, "solver", solver, get_args(Solver))
        require_choice(self, "rescale", rescale, get_args(Rescale))
        self.learning_rate = require_number(self, "learning_rate", learning_rate, above=0)
        self.solver = solver
        self.solver_step = ball_step
        self.scale = 1 / (1 + self.c * self.c) if rescale == "1+c2" else 1.0

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if self.solver == "sgd":
            if has_kernel(gram):
                return operators.cagrad_sgd(gram, shares, self.c, self.scale, self.learning_rate)
            return self.scale * cagrad_weights_sgd(gram, self.c, self.learning_rate, shares)
        if has_kernel(gram):
            return operators.cagrad(gram, shares, self.c, self.scale)
        return self.scale * solve_cagrad(gram, self.c, shares, self.solver_step)[0]

    def settle(
        self, weights: Tensor, shares: Tensor, along: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Stay in the ball where the mean is so short that the rounded Gram matrix does not show it."""
        middle = self.scale * shares
        vectors = along(torch.stack([middle, weights]))  # [2, P]
        centre, away = vectors[0], vectors[1].sub_(vectors[0])
        lengths = torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64)  # [2]
        kept = (self.c * lengths[0] / lengths[1].clamp(min=TINY)).clamp(max=1)
        return centre.addcmul_(away, kept.to(centre.dtype)), middle.lerp(weights, kept)
