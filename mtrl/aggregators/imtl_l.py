"""Implements IMTL-L, impartial multi-task learning on losses (Liu et al., ICLR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import loss_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator

LIMIT = 10.0  # bound of |s|, that is, of the weights to [4.5e-5, 2.2e4]


def imtl_l_step(log_scale: Tensor, losses: Tensor, learning_rate: float) -> Tensor:
    """One descent step on  Σ e^(s_i)|L_i| − s_i  in s [K].

    The paper's losses are positive. A negative one would drive its weight to infinity: |L_i| keeps the
    optimum s_i = −log |L_i|, where all scaled losses are one. The slope is bounded to one, the values to ±10.
    """
    slope = log_scale.exp() * losses.abs() - 1
    return (log_scale - learning_rate * slope.clamp(-1, 1)).clamp(-LIMIT, LIMIT)


class IMTLL(NormAggregator):
    """IMTL-L: each loss times a learned scale, so that all become equally large.

    It has the optima of uncertainty weighting and twice its slopes. The paper adds up; this is a mean, so K
    equal gradients g give g at the start.

    Args:
        num_tasks: K.
        learning_rate: of the logarithms of the scales.
    """

    needs = "losses"
    keeps_task_state = True
    log_scale: Tensor

    def __init__(self, num_tasks: int, *, learning_rate: float = 0.01) -> None:
        super().__init__(num_tasks)
        self.learning_rate = require_number(self, "learning_rate", learning_rate, above=0)
        self.register_buffer("log_scale", torch.zeros(num_tasks, dtype=torch.float64))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            return loss_operators.imtl_l(losses, shares, self.log_scale, self.learning_rate)
        used = shares * self.log_scale.exp()
        stepped = imtl_l_step(self.log_scale, losses.double(), self.learning_rate)
        self.log_scale.copy_(torch.where(shares > 0, stepped, self.log_scale))
        return used
