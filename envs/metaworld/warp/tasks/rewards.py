"""Computes the parts that Meta-World's rewards are made of: its ``reward_utils`` on tensors [C]."""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import torch
from torch import Tensor

AT_MARGIN = 0.1  # what a tolerance pays at its margin


def long_tail(distance: Tensor) -> Tensor:
    """1 at 0, 0.1 at 1, and falling like 1 / distance ** 2 from there on."""
    return 1 / ((distance * sqrt(1 / AT_MARGIN - 1)) ** 2 + 1)


def gaussian(distance: Tensor) -> Tensor:
    """1 at 0, 0.1 at 1, and falling like exp(-distance ** 2)."""
    return torch.exp(-0.5 * (distance * sqrt(-2 * log(AT_MARGIN))) ** 2)


def tolerance(
    x: Tensor,
    *,
    bounds: tuple[float, float],
    margin: Tensor | float,
    sigmoid: Callable[[Tensor], Tensor] = long_tail,
) -> Tensor:
    """1 within the bounds, ``sigmoid`` of the distance to them outside: 0.1 at ``margin``."""
    lower, upper = bounds
    distance = torch.where(x < lower, lower - x, x - upper) / margin
    return sigmoid(distance).masked_fill((lower <= x) & (x <= upper), 1.0)


def hamacher_product(a: Tensor, b: Tensor) -> Tensor:
    """``a b / (a + b - a b)``, 0 where both are 0: a soft "and" of two numbers from 0 to 1."""
    denominator = a + b - a * b
    return (a * b / denominator).masked_fill(denominator <= 0, 0.0)


def rect_prism_tolerance(curr: Tensor, *, zero: Tensor, one: Tensor) -> Tensor:
    """Of a point [C, 3]: from 0 at corner ``zero`` of a box to 1 at the opposite; 1 outside: [C]."""
    inside = ((torch.minimum(zero, one) <= curr) & (curr <= torch.maximum(zero, one))).all(dim=-1)
    return ((curr - zero) / (one - zero)).prod(dim=-1).masked_fill(~inside, 1.0)


def funnel(radius: Tensor, threshold: float, *, steepness: float, height: float) -> Tensor:
    """How high the hand should be at a horizontal distance from its object [C]: 0 within the threshold."""
    return (steepness * torch.log(radius - threshold) + height).masked_fill(radius <= threshold, 0.0)


def above_floor(hand_z: Tensor, floor: Tensor, margin: Tensor | float) -> Tensor:
    """1 where the hand is above a floor such as a funnel's, and less the deeper it is below: [C]."""
    return tolerance((floor - hand_z).clamp(min=0.0), bounds=(0, 0.01), margin=margin)


def turned_like(quaternion: Tensor, ideal: tuple[float, float, float, float], *, slack: float) -> Tensor:
    """From 1 for the ideal quaternion to 0 at the distance ``slack`` from it: [C, 4] to [C]."""
    w, x, y, z = (part - wanted for part, wanted in zip(quaternion.unbind(-1), ideal, strict=True))
    return (1 - torch.sqrt(w**2 + x**2 + y**2 + z**2) / slack).clamp(min=0.0)


def within_handle(obj: Tensor, hand_x: Tensor, threshold: float) -> Tensor:
    """A long object [C, 3], as if it were where the hand is along x, if that is near enough to grasp it."""
    x = torch.where((obj[:, 0] - hand_x).abs() < threshold, hand_x, obj[:, 0])
    return torch.stack((x, obj[:, 1], obj[:, 2]), dim=-1)
