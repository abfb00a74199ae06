"""Solves the two convex programmes for two tasks in closed form, for less than one interior-point step."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._linalg.cosines import TINY

PARALLEL = 1e-6  # sine below which two opposite rows count as one line; the optimum is missed by as much


def min_over_segment(gram: Tensor, linear: Tensor) -> Tensor:
    """The minimiser w [2] of  ½ wᵀ gram w + linearᵀ w  over w >= 0 with sum one; uniform if all are optimal.

    Args:
        gram: [2, 2], float64.
        linear: [2], float64.
    """
    (own, cross), (_, other) = gram[0].unbind(), gram[1].unbind()
    curvature = (own + other - 2 * cross).clamp(min=0)
    fall = other - cross + linear[1] - linear[0]  # minus the slope in w_1 at w = (0, 1)
    inside = (fall / curvature.clamp(min=TINY)).clamp(0, 1)
    first = torch.where(curvature > 0, inside, 0.5 + 0.5 * fall.sign())
    return torch.stack([first, 1 - first])


def max_min_of_two(offsets: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """The maximiser u [2] of  min_i (offsets_i + factor_i · u)  over ‖u‖ <= 1, and its multipliers [2].

    Either one row alone decides and u points along it, or both are equal at u: along their difference e
    the point is then fixed, and across it, where both rows have the same component, it goes to the sphere. Of
    several optima, where the rows are opposite, this is the centre.

    Args:
        offsets: [2], float64.
        factor: [2, 2], float64.
    """
    norms = torch.linalg.vector_norm(factor, dim=1)  # [2]
    units = factor / norms.clamp(min=TINY)[:, None]
    values = offsets[:, None] + factor @ units.T  # [i, j], row i at the best point of row j
    own = values.diagonal()
    first_alone, second_alone = (values >= own).all(0).unbind()

    between = factor[0] - factor[1]
    length = torch.linalg.vector_norm(between).clamp(min=TINY)
    e = between / length
    along = ((offsets[1] - offsets[0]) / length).clamp(-1, 1)
    components = factor @ e  # [2], of the rows along e
    across = factor[0] - components[0] * e
    height = torch.linalg.vector_norm(across)
    flat = height <= PARALLEL * norms.max()
    rest = torch.where(flat, 0, (1 - along.square()).sqrt())
    equal = along * e + rest * across / height.clamp(min=TINY)
    # w_1 factor_1 + w_2 factor_2 is parallel to u, or zero.
    goal = torch.where(flat, 0, height * along / rest.clamp(min=TINY))
    share = ((goal - components[1]) / length).clamp(0, 1)

    first = torch.where(first_alone, 1, torch.where(second_alone, 0, share))
    u = torch.where(first_alone, units[0], torch.where(second_alone, units[1], equal))
    return u, torch.stack([first, 1 - first])
