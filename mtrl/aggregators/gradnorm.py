"""Implements GradNorm, gradient normalisation (Chen et al., ICML 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators.base import NormAggregator

MIN_RATIO = 1e-3  # floor of L/L_0 and of the task weights


def gradnorm_step(
    task_weights: Tensor, norms: Tensor, ratios: Tensor, alpha: float, learning_rate: float
) -> Tensor:
    """One descent step on  Σ |w_i n_i − mean(w n) r_i^α|  (equation 2) in w, rescaled to keep Σw.

    The target is held constant, as in the paper. Norms count relative to their mean, a deviation that frees
    the learning rate from the gradients' scale. Means and sums are over the tasks that move: one whose
    gradient is zero keeps its weight.

    Args:
        task_weights: w, [K], positive.
        norms: n_i = ‖g_i‖, [K]; zero for a task that is left out.
        ratios: L_i over its first value, [K], positive.
        alpha: strength of the pull towards equal training rates.
        learning_rate: of the step.
    """
    moves = norms > 0
    count = moves.sum().clamp(min=1)
    relative = norms / (norms.sum() / count).clamp(min=TINY)
    weighted = task_weights * relative
    rate = ratios / (torch.where(moves, ratios, 0).sum() / count).clamp(min=TINY)  # r_i, relative and inverse
    target = weighted.sum() / count * rate**alpha
    slope = torch.sign(weighted - target) * relative
    moved = torch.where(moves, (task_weights - learning_rate * slope).clamp(min=MIN_RATIO), 0)
    kept = torch.where(moves, task_weights, 0).sum() / moved.sum().clamp(min=TINY)
    return torch.where(moves, moved * kept, task_weights)


class GradNorm(NormAggregator):
    """GradNorm: task weights learned so that all tasks train at a similar rate.

    Losses that change sign, as those of an actor can, make L/L_0 meaningless: it is bounded from below by
    0.001, and such a task counts as trained. The direction is the average by the weights of the tasks that
    are not masked, so K equal gradients g give g.

    Args:
        num_tasks: K.
        alpha: strength of the pull towards equal training rates.
        learning_rate: of the task weights.
    """

    keeps_task_state = True
    task_weights: Tensor
    first_losses: Tensor
    seen: Tensor

    def __init__(self, num_tasks: int, *, alpha: float = 1.5, learning_rate: float = 0.025) -> None:
        super().__init__(num_tasks)
        self.alpha = require_number(self, "alpha", alpha, low=0)
        self.learning_rate = require_number(self, "learning_rate", learning_rate, above=0)
        self.register_buffer("task_weights", torch.ones(num_tasks, dtype=torch.float64))
        self.register_buffer("first_losses", torch.ones(num_tasks, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(num_tasks, dtype=torch.bool))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            state = (self.task_weights, self.first_losses, self.seen)
            return moving_operators.gradnorm(gram, losses, shares, *state, self.alpha, self.learning_rate)
        usable = shares > 0
        self.first_losses.copy_(torch.where(usable & ~self.seen, losses, self.first_losses))
        self.seen.logical_or_(usable)
        # The step below comes into effect at the next call, as in the paper.
        used = torch.where(usable, self.task_weights, 0)
        used = used / used.sum().clamp(min=TINY)
        safe = torch.where(self.first_losses == 0, TINY, self.first_losses)
        ratios = (losses / safe).clamp(MIN_RATIO, 1 / MIN_RATIO)
        norms = gram.diagonal().sqrt()
        stepped = gradnorm_step(self.task_weights, norms, ratios, self.alpha, self.learning_rate)
        self.task_weights.copy_(stepped)
        return used
