"""Implements FAMO, fast adaptive multi-task optimisation (Liu et al., NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator

FIRST, SECOND = 0.9, 0.999  # Adam's rates, PyTorch's defaults as in the published code
EPSILON = 1e-8  # Adam's, and what the published code adds to a loss before its logarithm


def famo_slope(logits: Tensor, fall: Tensor, moves: Tensor) -> Tensor:
    """Jᵀδ [K] with δ the falls of the log-losses and J the Jacobian of the softmax of those that ``move``."""
    z = torch.where(moves, logits, -torch.inf).softmax(0)
    return torch.where(moves, z * (fall - (torch.where(moves, z, 0) * fall).sum()), 0)


class FAMO(NormAggregator):
    """FAMO: equal relative decrease of all losses, from the losses alone.

    The direction is Σ z_i ∇log L_i with z the softmax of the logits ξ, rescaled so that the weights sum to
    one. ξ descends Jᵀδ (Algorithm 1) by Adam with weight decay, as in the published code, where the paper
    writes plain steps. The paper measures a step's effect by evaluating the *same* batch again; here the next
    call's losses stand in: nothing runs twice. A task that was masked at the last call has no such effect,
    and its logit waits. Losses must be positive to have logarithms: a task whose loss was ever negative
    is shifted by its lowest value seen, plus one. K equal gradients g give g.

    Args:
        num_tasks: K.
        learning_rate: of the logits, the paper's β.
        decay: of the logits towards equal weights, the paper's γ, added to the slope as Adam's weight decay.
    """

    needs = "losses"
    keeps_task_state = True
    logits: Tensor
    moments: Tensor
    steps: Tensor
    previous: Tensor
    lowest: Tensor
    seen: Tensor

    def __init__(self, num_tasks: int, *, learning_rate: float = 0.025, decay: float = 0.001) -> None:
        super().__init__(num_tasks)
        self.learning_rate = require_number(self, "learning_rate", learning_rate, above=0)
        self.decay = require_number(self, "decay", decay, low=0)
        for name in ("logits", "previous", "lowest"):
            self.register_buffer(name, torch.zeros(self.num_tasks, dtype=torch.float64))
        self.register_buffer("moments", torch.zeros(2, self.num_tasks, dtype=torch.float64))  # Adam's
        self.register_buffer("steps", torch.zeros(self.num_tasks, dtype=torch.int64))  # of each logit
        self.register_buffer("seen", torch.zeros(self.num_tasks, dtype=torch.bool))  # at the last call

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            state = (self.logits, self.moments, self.steps, self.previous, self.lowest, self.seen)
            return moving_operators.famo(losses, shares, *state, self.learning_rate, self.decay)
        usable = shares > 0
        losses = losses.double()
        self.lowest.copy_(torch.minimum(self.lowest, torch.where(usable, losses, 0)))
        shift = torch.where(self.lowest < 0, 1 - self.lowest, 0) + EPSILON
        moves = usable & self.seen
        fall = torch.where(moves, (self.previous + shift).log() - (losses + shift).log(), 0)
        self._step(famo_slope(self.logits, fall, moves) + self.decay * self.logits, moves)
        self.previous.copy_(torch.where(usable, losses, self.previous))
        self.seen.copy_(usable)
        weights = torch.where(usable, self.logits, -torch.inf).softmax(0) / (losses + shift)
        weights = torch.where(usable, weights, 0)  # a softmax of nothing is NaN
        return weights / weights.sum().clamp(min=torch.finfo(torch.float64).tiny)

    def _step(self, slope: Tensor, moves: Tensor) -> None:
        """Take one step of Adam down the ``slope`` [K] with those logits that ``move``."""
        self.steps.add_(moves)
        mean, square = self.moments
        mean.copy_(torch.where(moves, mean.lerp(slope, 1 - FIRST), mean))
        square.copy_(torch.where(moves, square.lerp(slope.square(), 1 - SECOND), square))
        steps = self.steps.clamp(min=1).double()
        size = (square / (1 - SECOND**steps)).sqrt() + EPSILON
        step = self.learning_rate * mean / (1 - FIRST**steps) / size
        self.logits.sub_(torch.where(moves, step, 0))
