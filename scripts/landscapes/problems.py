"""Defines the two-objective problems in the plane on which papers compare methods, in float64 and batched.

*The valleys* (Liu et al., NeurIPS 2021, section 5.1; also Fernando et al., ICLR 2023, appendix F.1):
deterministic, not convex. In the upper half each objective has a narrow valley on which its own gradient
swamps the other's; in the lower half both are bowls whose minima span a Pareto set.

*The noisy bowls* (Zhou et al., NeurIPS 2022, equation 4): convex and stochastic. Each objective's
gradient is one of two, drawn anew at each step, and weights that depend on what was drawn can turn the
expected step around.
"""

from __future__ import annotations

import itertools

import torch
from torch import Generator, Tensor

VALLEY_STARTS = ((-8.5, 7.5), (-8.5, -5.0), (0.0, 0.0), (9.0, 9.0), (10.0, -8.0))
VALLEY_FLOOR = 5e-6  # of the absolute values under the logarithms: the valleys have a bottom

BOWL_START = (0.0, 0.4)
BOWL_RATE = 0.006  # learning rate of step k: BOWL_RATE k^(-1/2)
# Centres of the two quadratics that each objective may show, [objective, draw, coordinate].
BOWL_CENTRES = (((-1.0, 2.0), (-5.0, -2.0)), ((1.0, 2.0), (5.0, -2.0)))


def _signs(points: Tensor) -> Tensor:
    """The objectives mirror each other in x1: −1 for the first, +1 for the second."""
    return points.new_tensor([-1.0, 1.0])


def valley_losses(points: Tensor) -> Tensor:
    """L_i = c_1 f_i + c_2 g_i at ``points`` [..., 2], as [..., 2].

    The paper prints f_2 with −tanh and a start (−8.5, 5); the published code has +tanh and (−8.5, −5), and
    only those give the paper's figure.
    """
    x1, x2 = points[..., :1], points[..., 1:]
    signs = _signs(points)
    valley = (signs * (3.5 - x2.tanh()) - 0.5 * x1).abs().clamp(min=VALLEY_FLOOR).log() + 6
    bowl = ((x1 + 7 * signs).square() + 0.1 * (x2 + 8).square()) / 10 - 20
    height = (0.5 * x2).tanh()
    return height.clamp(min=0) * valley + (-height).clamp(min=0) * bowl


def valley_gradients(points: Tensor) -> Tensor:
    """Gradients of :func:`valley_losses` at ``points`` [S, 2], as [S, objective, coordinate].

    On x2 = 0, where each half begins, both halves' one-sided slopes count, as in the published code; else
    nothing would leave the start (0, 0).
    """
    x1, x2 = points[:, :1], points[:, 1:]
    signs = _signs(points)
    distance = signs * (3.5 - x2.tanh()) - 0.5 * x1  # [S, 2], to each valley's bottom
    valley = distance.abs().clamp(min=VALLEY_FLOOR).log() + 6
    steepness = torch.where(distance.abs() >= VALLEY_FLOOR, 1 / distance, 0)
    bowl = ((x1 + 7 * signs).square() + 0.1 * (x2 + 8).square()) / 10 - 20
    height = (0.5 * x2).tanh()  # [S, 1]
    upper, lower = height.clamp(min=0), (-height).clamp(min=0)
    slope = 0.5 * (1 - height.square())
    first = -0.5 * upper * steepness + lower * (x1 + 7 * signs) / 5
    second = (
        slope * ((x2 >= 0) * valley - (x2 <= 0) * bowl)
        - upper * steepness * signs * (1 - x2.tanh().square())
        + lower * 0.02 * (x2 + 8)
    )
    return torch.stack([first, second], dim=-1)


def valley_floors(x2: Tensor) -> Tensor:
    """x1 of the two valleys' floors at ``x2`` > 0 [N], as [objective, N]."""
    return _signs(x2)[:, None] * 2 * (3.5 - x2.tanh())


def valley_pareto_set(x1: Tensor) -> Tensor:
    """x2 of the Pareto set of the valleys at ``x1`` in [−7, 7], any shape.

    The gradients cancel along x1 with weights (7 + x1)/14 and (7 − x1)/14; along x2 the slope of the
    weighted loss changes sign once below −8, which bisection finds.
    """
    share = (x1 + 7) / 14
    low, high = torch.full_like(x1, -10), torch.full_like(x1, -8)
    for _ in range(60):
        middle = (low + high) / 2
        slopes = valley_gradients(torch.stack([x1, middle], dim=-1).reshape(-1, 2))[..., 1]
        slope = (share * slopes[:, 0].reshape(x1.shape)) + (1 - share) * slopes[:, 1].reshape(x1.shape)
        low, high = torch.where(slope < 0, middle, low), torch.where(slope < 0, high, middle)
    return (low + high) / 2


def valley_pareto_distance(points: Tensor) -> Tensor:
    """Distance from ``points`` [..., 2] to the point of the Pareto set at the nearest x1, [...]."""
    x1 = points[..., 0].clamp(-7, 7)
    return torch.hypot(points[..., 0] - x1, points[..., 1] - valley_pareto_set(x1))


def bowl_gradients(points: Tensor, drawn: Tensor) -> Tensor:
    """Gradients [S, objective, 2] at ``points`` [S, 2] of the quadratics ``drawn`` [S, objective], 0 or 1."""
    centres = points.new_tensor(BOWL_CENTRES)  # [objective, draw, 2]
    chosen = torch.where(drawn[..., None] == 0, centres[:, 0], centres[:, 1])  # [S, objective, 2]
    return 2 * (points[:, None] - chosen)


def draw_bowls(count: int, generator: Generator) -> Tensor:
    """One draw for each objective, independent and uniform, [count, 2] int64."""
    return torch.randint(2, (count, 2), generator=generator)


def every_draw() -> Tensor:
    """List the four equally likely draws, [4, 2], whose mean is an expectation in closed form."""
    return torch.tensor(list(itertools.product((0, 1), repeat=2)))


def into_bowl_domain(points: Tensor) -> Tensor:
    """Project onto the domain x in [−1, 1], y >= 0; [S, 2]."""
    return torch.stack([points[:, 0].clamp(-1, 1), points[:, 1].clamp(min=0)], dim=1)


def bowl_distance(points: Tensor) -> Tensor:
    """Distance from ``points`` [..., 2] of the domain to the Pareto set {(a, 0): −1 <= a <= 1}."""
    return points[..., 1]
