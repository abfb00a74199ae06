"""Implements STCH, smooth Tchebycheff scalarisation (Lin et al., ICML 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator

UNSEEN = torch.finfo(torch.float64).max  # the ideal of a task that was never seen


def stch_weights(losses: Tensor, ideal: Tensor, shares: Tensor, mu: float) -> Tensor:
    """The weights w [K] in  ∇ μ log Σ s_i exp((L_i − z_i) / μ) = Σ w_i ∇L_i.

    Args:
        losses: L [K], float64.
        ideal: z [K], float64.
        shares: s [K], float64; preferences, zero for a task that is left out.
        mu: μ.
    """
    return (shares.log() + (losses - ideal) / mu).softmax(0)


class STCH(NormAggregator):
    """STCH: a smooth maximum of how far each task's loss is above the best it ever was.

    The paper's preferences are equal here and part of μ. Its ideal point z is given or a guess; here it is
    the lowest loss of each task so far, so every weight is 1/K at the first call, and K equal gradients g
    give g. Its experiments on networks take losses relative to their first epochs; choose ``mu`` on the
    losses' scale instead.

    Args:
        num_tasks: K.
        mu: above 0, in units of the losses; towards 0 the worst task alone counts, towards infinity all do.
    """

    needs = "losses"
    keeps_task_state = True
    ideal: Tensor

    def __init__(self, num_tasks: int, *, mu: float = 1.0) -> None:
        super().__init__(num_tasks)
        self.mu = require_number(self, "mu", mu, above=0)
        self.register_buffer("ideal", torch.full((num_tasks,), UNSEEN, dtype=torch.float64))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            return moving_operators.stch(losses, shares, self.ideal, self.mu)
        losses = losses.double()
        self.ideal.copy_(torch.where(shares > 0, torch.minimum(self.ideal, losses), self.ideal))
        weights = stch_weights(losses, self.ideal, shares, self.mu)
        return torch.where(shares.any(), weights, 0)  # a softmax of nothing is NaN
