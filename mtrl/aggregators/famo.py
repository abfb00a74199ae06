"""Implements FAMO, fast adaptive multi-task optimisation (Liu et al., NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator


def famo_logits(
    logits: Tensor, log_before: Tensor, log_after: Tensor, learning_rate: float, decay: float
) -> Tensor:
    """ξ ← ξ − β(Jᵀδ + γ ξ), δ the falls of the log-losses, J the Jacobian of softmax (Algorithm 1)."""
    z = logits.softmax(0)
    fall = log_before - log_after
    return logits - learning_rate * (z * (fall - z @ fall) + decay * logits)


class FAMO(NormAggregator):
    """FAMO: equal relative decrease of all losses, from the losses alone.

    The direction is Σ z_i ∇log L_i, rescaled so that the weights sum to one. The paper measures a step's
    effect by evaluating the *same* batch again; here the next call's losses stand in: nothing runs twice.
    Losses must be positive to have logarithms: a task whose loss was ever negative is shifted by its
    lowest value seen, plus one. K equal gradients g give g.

    Args:
        num_tasks: K.
        learning_rate: of the logits, the paper's β.
        decay: of the logits towards equal weights, the paper's γ.
    """

    needs = "losses"
    keeps_task_state = True
    logits: Tensor
    previous: Tensor
    lowest: Tensor
    seen: Tensor

    def __init__(self, num_tasks: int, *, learning_rate: float = 0.025, decay: float = 0.001) -> None:
        super().__init__(num_tasks)
        require_number(self, "learning_rate", learning_rate, above=0)
        require_number(self, "decay", decay, low=0)
        self.learning_rate = learning_rate
        self.decay = decay
        for name in ("logits", "previous", "lowest"):
            self.register_buffer(name, torch.zeros(num_tasks, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(num_tasks, dtype=torch.bool))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            state = (self.logits, self.previous, self.lowest, self.seen)
            return moving_operators.famo(losses, shares, *state, self.learning_rate, self.decay)
        usable = shares > 0
        losses = losses.double()
        self.lowest.copy_(torch.minimum(self.lowest, torch.where(usable, losses, 0)))
        shift = torch.where(self.lowest < 0, 1 - self.lowest, 0)
        after = (losses + shift).clamp(min=1e-8)  # the published code's floor
        before = torch.where(usable & self.seen, (self.previous + shift).clamp(min=1e-8), after)
        stepped = famo_logits(self.logits, before.log(), after.log(), self.learning_rate, self.decay)
        self.logits.copy_(stepped)
        self.previous.copy_(torch.where(usable, losses, self.previous))
        self.seen.logical_or_(usable)
        weights = shares * stepped.softmax(0) / after
        return weights / weights.sum().clamp(min=torch.finfo(torch.float64).tiny)
