"""Implements CAGrad, conflict-averse gradient descent (Liu et al., NeurIPS 2021)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_choice, require_number
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms, solve_factored, unit_factor
from mtrl.aggregators._linalg.interior_point import BallStep, ball_step, max_min_in_ball
from mtrl.aggregators.base import GramAggregator

Solver = Literal["exact", "sgd"]
Rescale = Literal["none", "1+c2"]
SGD_STEPS = 20
RECOVERY_RIDGE = 1e-8  # bounds the weights by 1e4; costs 1e-4 of the least significant directions


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
    is then the centre of them. A zero gradient, which no direction helps, is left out of the minimum.

    Args:
        gram, c, shares: as in :func:`cagrad_weights`.
        step: of the interior-point method, perhaps compiled.

    Returns:
        v [K] with d = Gᵀv, and w [K].
    """
    scaled = gram / gram.diagonal().mean().clamp(min=TINY)
    towards_mean = scaled @ shares  # [K], ⟨g_i, g_0⟩
    radius = c * (shares @ towards_mean).clamp(min=0).sqrt()
    norms, lower = unit_factor(scaled)
    unit = (towards_mean.abs().max() + radius * norms.max()).clamp(min=TINY)
    factor = norms[:, None] * lower  # [K, K], the gradients in K coordinates
    offsets = torch.where(norms > 0, towards_mean / unit, 2)  # the others stay below 1
    u, w = max_min_in_ball(offsets, factor * (radius / unit), 14 + len(gram) // 16, step)
    # u = (L⁻¹ unit gradients)ᵀ v; the ridge keeps v small where unit gradients are linearly dependent.
    cosine = lower @ lower.T + torch.diag(torch.full_like(shares, RECOVERY_RIDGE))
    v = solve_factored(torch.linalg.cholesky_ex(cosine)[0], (lower @ u)[:, None])[:, 0]
    return shares + radius * inverse_norms(norms) * v, w


def cagrad_weights_sgd(gram: Tensor, c: float, learning_rate: float, shares: Tensor | None = None) -> Tensor:
    """The approximate solver of the papers' reinforcement-learning runs (appendix B.3).

    Twenty steps of heavy-ball descent (momentum 0.5) on softmax logits that start uniform, on the Gram
    matrix divided by its mean diagonal; the best iterate counts. The constants 1e-4 are the published code's.
    """
    num = gram.shape[0]
    mean = torch.full_like(gram[0], 1 / num) if shares is None else shares  # [K]
    scaled = gram / gram.diagonal().mean().clamp(min=TINY)
    towards_mean = scaled @ mean
    radius = c * (mean @ towards_mean + 1e-4).clamp(min=0).sqrt()
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
    norm = (best @ scaled @ best + 1e-4).clamp(min=1e-4).sqrt()
    return mean + radius / (norm + 1e-4) * best


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
        require_number(self, "c", c, low=0)
        require_choice(self, "solver", solver, get_args(Solver))
        require_choice(self, "rescale", rescale, get_args(Rescale))
        require_number(self, "learning_rate", learning_rate, above=0)
        self.c = c
        self.solver = solver
        self.learning_rate = learning_rate
        self.solver_step = ball_step
        self.scale = 1 / (1 + c * c) if rescale == "1+c2" else 1.0

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if self.solver == "sgd":
            return self.scale * cagrad_weights_sgd(gram, self.c, self.learning_rate, shares)
        return self.scale * solve_cagrad(gram, self.c, shares, self.solver_step)[0]
