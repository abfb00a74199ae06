"""Weights tasks by homoscedastic uncertainty (Kendall, Gal and Cipolla, CVPR 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator

LIMIT = 10.0  # bound of |s|, that is, of the weights to [4.5e-5, 2.2e4]


def uncertainty_step(log_variance: Tensor, losses: Tensor, learning_rate: float) -> Tensor:
    """One descent step on  Σ ½ e^(−s_i)|L_i| + ½ s_i  (equation 7 with s = log σ²) in s [K].

    The paper's losses are positive. A negative one would drive its weight to infinity: |L_i| keeps the
    optimum s_i = log |L_i|. The slope is bounded to one, the values to ±10.
    """
    slope = 0.5 * (1 - (-log_variance).exp() * losses.abs())
    return (log_variance - learning_rate * slope.clamp(-1, 1)).clamp(-LIMIT, LIMIT)


class UncertaintyWeighting(NormAggregator):
    """Uncertainty weighting: each task is divided by the size of its loss, as a learned variance.

    The paper's common factor ½ is left out, so K equal gradients g give g at the start.

    Args:
        num_tasks: K.
        learning_rate: of the log-variances.
    """

    needs = "losses"
    keeps_task_state = True
    log_variance: Tensor

    def __init__(self, num_tasks: int, *, learning_rate: float = 0.01) -> None:
        super().__init__(num_tasks)
        self.learning_rate = require_number(self, "learning_rate", learning_rate, above=0)
        self.register_buffer("log_variance", torch.zeros(num_tasks, dtype=torch.float64))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            return moving_operators.uncertainty(losses, shares, self.log_variance, self.learning_rate)
        used = shares * (-self.log_variance).exp()
        stepped = uncertainty_step(self.log_variance, losses.double(), self.learning_rate)
        self.log_variance.copy_(torch.where(shares > 0, stepped, self.log_variance))
        return used
