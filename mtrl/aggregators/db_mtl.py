"""Implements DB-MTL, dual-balancing for multi-task learning (Lin et al., 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._linalg.cosines import inverse_norms
from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.matrix import gradient_norms
from mtrl.aggregators.tracking import MovingAverage
from mtrl.types import Direction

SMALLEST = 1e-8  # loss whose logarithm is taken, as in the published code


class Fading(MovingAverage):
    """Averages gradients, the old of which count β_k = β k^(−decay)."""

    def rate(self, usable: Tensor) -> Tensor:
        return 1 - self.beta * self.steps.double() ** -self.decay


class DBMTL(Aggregator):
    """DB-MTL: gradients of log-losses, averaged over time and then made equally long.

    Σ_i ‖ĝ‖_max ĝ_i/‖ĝ_i‖ with ĝ_i ← β_k ĝ_i + (1 − β_k) ∇log L_i (Algorithm 1). Three deviations: the
    average begins at the first gradient, where the paper has zero; a loss that is not positive, as an
    actor's, counts by its size, so ∇L_i/|L_i| stands for ∇log L_i; and this is a mean, as long as the longest
    |L_i| ĝ_i instead of ĝ_i, so K equal gradients g give g. A masked task keeps its average and takes no part
    in the step.

    Args:
        num_tasks: K.
        beta: what the past counts for, the paper's β; 0 keeps none of it.
        beta_decay: in step k the past counts beta·k^(−beta_decay); the paper also uses 0.5.
    """

    keeps_task_state = True
    masks_itself = True

    def __init__(self, num_tasks: int, *, beta: float = 0.9, beta_decay: float = 0.0) -> None:
        super().__init__(num_tasks)
        beta = require_number(self, "beta", beta, low=0, high=1)
        beta_decay = require_number(self, "beta_decay", beta_decay, low=0)
        self.averages = Fading(self.num_tasks, beta, beta_decay, None)

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        sizes = losses.double().abs().clamp(min=SMALLEST)
        # A small loss's inverse is more than float16 holds.
        precise = gradients.to(torch.promote_types(gradients.dtype, torch.float32))
        log_gradients = precise * sizes.reciprocal()[:, None].to(precise.dtype)
        averages = self.averages(log_gradients, shares > 0)
        norms = gradient_norms(averages)
        length = torch.where(shares > 0, sizes * norms, 0).amax()
        scale = (shares * length * inverse_norms(norms)).to(averages.dtype)
        return Direction((scale @ averages).to(gradients.dtype), None, {"tracked_weight": scale})
