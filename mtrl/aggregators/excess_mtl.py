"""Implements ExcessMTL, robust multi-task learning with excess risks (He et al., ICML 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms
from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.matrix import column_blocks, gradient_norms
from mtrl.aggregators.tracking import MovingAverage
from mtrl.types import Direction


class MeanSquares(MovingAverage):
    """Averages squared gradients over all steps that a task took part in."""

    counts: Tensor

    def __init__(self, num_tasks: int) -> None:
        super().__init__(num_tasks, 1.0, 0.0, None)
        self.register_buffer("counts", torch.zeros(num_tasks, dtype=torch.float64))

    def rate(self, usable: Tensor) -> Tensor:
        self.counts.add_(usable)
        return self.counts.clamp(min=1).reciprocal()


def excess_risks(gradients: Tensor, mean_squares: Tensor, counts: Tensor) -> Tensor:
    """Estimate  Σ_j g_ij² / √(Σ_t g_ijt²)  for each task i, float64 [K] (equations 6 and 7).

    Args:
        gradients: g, [K, P], finite.
        mean_squares: of the gradients until now, [K, P].
        counts: how many these are, [K].
    """
    tiny = torch.finfo(gradients.dtype).tiny
    found = torch.zeros_like(counts)
    for block, means in zip(column_blocks(gradients), column_blocks(mean_squares), strict=True):
        sizes = block.abs()
        found += (sizes * (sizes / means.sqrt().clamp(min=tiny))).sum(1, dtype=torch.float64)
    return found / counts.clamp(min=1).sqrt()


class ExcessMTL(Aggregator):
    """ExcessMTL: more weight for tasks that are far from the best that they could reach.

    log α_i grows by ``learning_rate`` · Ê_i/Ê_i0 at each step (equation 9); Ê_i, the excess risk, is
    estimated from the gradient and the squared gradients so far, kept as their mean [K, P]. As in the
    authors' code the first step has equal weights; their absolute 1e-7 under the root is left out, and each
    task's gradients are counted in units of its first, which changes no ratio. K equal gradients g give g.

    Args:
        num_tasks: K.
        learning_rate: of the weights, the paper's η_α.
    """

    keeps_task_state = True
    logits: Tensor
    units: Tensor
    first_risks: Tensor

    def __init__(self, num_tasks: int, *, learning_rate: float = 0.01) -> None:
        super().__init__(num_tasks)
        self.learning_rate = require_number(self, "learning_rate", learning_rate, above=0)
        self.squares = MeanSquares(num_tasks)
        for name in ("logits", "units", "first_risks"):
            self.register_buffer(name, torch.zeros(num_tasks, dtype=torch.float64))

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        usable = shares > 0
        begins = (self.units == 0) & usable  # until its first gradient that is not zero
        self.units.copy_(torch.where(begins, gradient_norms(gradients), self.units))
        # In two steps, since the inverse of a small unit may be more than float32 holds.
        precise = gradients.to(torch.promote_types(gradients.dtype, torch.float32))
        scale = inverse_norms(self.units.sqrt())[:, None].to(precise.dtype)
        relative = precise * scale * scale
        mean_squares = self.squares(relative.square(), usable & (self.units > 0))
        risks = excess_risks(relative, mean_squares, self.squares.counts)
        self.first_risks.copy_(torch.where(begins, risks, self.first_risks))
        known = usable & ~begins & (self.first_risks > 0)
        ratios = torch.where(known, risks / self.first_risks.clamp(min=TINY), 0)
        moved = self.logits + self.learning_rate * ratios
        # A masked task keeps its weight relative to all others together.
        before, after = (torch.where(usable, logits, -1e30).logsumexp(0) for logits in (self.logits, moved))
        self.logits.add_(torch.where(usable, moved - self.logits + before - after, 0))
        weights = torch.where(usable, self.logits, -1e30).softmax(0) * usable
        weights = weights.to(gradients.dtype)
        return Direction(weights @ gradients, weights, {})
