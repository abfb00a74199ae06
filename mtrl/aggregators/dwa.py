"""Implements DWA, dynamic weight average (Liu, Johns and Davison, CVPR 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import loss_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator
from mtrl.validation import MAX_STEPS, require_integer

LIMIT = 1e3  # of the ratio of two losses


def dwa_weights(newer: Tensor, older: Tensor, temperature: float, shares: Tensor) -> Tensor:
    """Weights ∝ shares · exp(newer/(older · temperature)), with sum one.

    Args:
        newer: average losses of the last epoch, [K], float64.
        older: of the one before, [K], float64.
        temperature: T.
        shares: [K].
    """
    ratios = (newer / older).clamp(-LIMIT, LIMIT)
    return shares * torch.where(shares > 0, ratios / temperature, -1e30).softmax(0)


class DWA(NormAggregator):
    """DWA: more weight for tasks whose loss falls slowly, from the ratio of its last two averages.

    Reinforcement learning has no epochs: losses are averaged over ``epoch`` calls. Weights are equal until
    two epochs are over, and of sum one, where the paper's is K: K equal gradients g give g. The ratio of
    losses that change sign, as those of an actor, means nothing: it is bounded by ±1000.

    Args:
        num_tasks: K.
        temperature: the paper's T; towards infinity all weights are equal.
        epoch: calls over which losses are averaged before they are compared.
    """

    needs = "losses"
    keeps_task_state = True
    sums: Tensor
    counts: Tensor
    newer: Tensor
    older: Tensor
    calls: Tensor

    def __init__(self, num_tasks: int, *, temperature: float = 2.0, epoch: int = 1) -> None:
        super().__init__(num_tasks)
        self.temperature = require_number(self, "temperature", temperature, above=0)
        self.epoch = require_integer("DWA: epoch", epoch, 1, MAX_STEPS)
        for name in ("sums", "counts", "newer", "older"):  # zeros: no average yet
            self.register_buffer(name, torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            state = (self.sums, self.counts, self.newer, self.older, self.calls)
            return loss_operators.dwa(losses, shares, *state, self.temperature, self.epoch)
        known = (self.newer != 0) & (self.older != 0)
        ones = torch.ones_like(self.newer)
        newer, older = (torch.where(known, values, ones) for values in (self.newer, self.older))
        weights = dwa_weights(newer, older, self.temperature, shares)
        usable = shares > 0
        self.sums.add_(torch.where(usable, losses.double(), 0))
        self.counts.add_(usable)
        self.calls.add_(1)
        over = self.calls % self.epoch == 0
        ends = over & (self.counts > 0)  # a task that was masked all along keeps its averages
        self.older.copy_(torch.where(ends, self.newer, self.older))
        self.newer.copy_(torch.where(ends, self.sums / self.counts.clamp(min=1), self.newer))
        for buffer in (self.sums, self.counts):
            buffer.copy_(torch.where(over, 0, buffer))
        return weights / weights.sum().clamp(min=torch.finfo(torch.float64).tiny)
