"""Smooths the weights of any method, as CR-MOGM (Zhou et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_choice, require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import Aggregator, GramAggregator, Reads, build_inner
from mtrl.errors import UsageError
from mtrl.types import ImplicitGradients


def corollary_1(steps: Tensor, rate_decay: float, distance: Tensor) -> Tensor:
    """1 − α_k = min{ η_k/η_1, η_k/(η_1·k·‖λ_(k−1) − λ̂_k‖_1) }  with  η_k = η_1 k^(−rate_decay).

    The text's inline fraction is ambiguous; only this reading makes Theorem 2's terms vanish.
    """
    return steps**-rate_decay / (steps * distance).clamp(min=1)


class CorrelationReduced(GramAggregator):
    """Any weighting method with smoothed weights: λ_k = α_k λ_(k−1) + (1 − α_k) λ̂_k  (Algorithm 1).

    On mini-batches the weights correlate with the gradients they multiply, which can turn the expected
    direction around; a moving average removes the correlation. λ_0 is the inner method's first λ̂. The weights
    of a projection method are its column means, those of CAGrad the full coefficients of the direction. λ
    is kept relative to equal weights: a masked task keeps its own, and the others weigh as if it did not
    exist. Scale as the inner method.

    Args:
        inner: a method with weights, or what makes one when called with ``num_tasks``.
        num_tasks: K; needed only if ``inner`` is not yet built.
        alpha: a constant in [0, 1), 0 being the inner method, or ``"corollary1"`` for the paper's schedule.
        rate_decay: learning rates fall as k^(−rate_decay) in the schedule; 0.5 in Corollary 1, 0 if constant.
    """

    keeps_task_state = True
    smoothed: Tensor
    seen: Tensor
    steps: Tensor

    def __init__(
        self,
        inner: Aggregator | Callable[..., Aggregator],
        *,
        num_tasks: int | None = None,
        alpha: float | Literal["corollary1"] = 0.99,
        rate_decay: float = 0.5,
    ) -> None:
        built = build_inner("CorrelationReduced", inner, num_tasks)
        if not isinstance(built, GramAggregator):
            raise UsageError(
                "CorrelationReduced: inner must have weights to smooth, that is, be a GramAggregator; found "
                f"{type(built).__name__}; tracking goes outside: GradientTracking(CorrelationReduced(...))"
            )
        super().__init__(built.num_tasks)
        if isinstance(alpha, str):
            require_choice(self, "alpha", alpha, ("a number", "corollary1"))
        else:
            alpha = require_number(self, "alpha", alpha, low=0, high=1)
        self.inner = built
        self.alpha = alpha
        self.rate_decay = require_number(self, "rate_decay", rate_decay, low=0)
        self.register_buffer("smoothed", torch.zeros(built.num_tasks, dtype=torch.float64))  # λ over shares
        self.register_buffer("seen", torch.zeros(built.num_tasks, dtype=torch.bool))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def looks_at(self) -> Reads:
        return self.inner.looks_at

    def gram(self, gradients: Tensor | ImplicitGradients) -> Tensor:
        return self.inner.gram(gradients)

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        fresh = self.inner.chosen(gram, losses, shares)
        if has_kernel(fresh):
            scheduled = isinstance(self.alpha, str)
            alpha = 0.0 if isinstance(self.alpha, str) else self.alpha
            return moving_operators.smoothed(
                fresh, shares, self.smoothed, self.seen, self.steps, alpha, scheduled, self.rate_decay
            )
        self.steps.add_(1)
        usable = shares > 0
        change = torch.where(usable, fresh / torch.where(usable, shares, 1) - self.smoothed, 0)
        if isinstance(self.alpha, str):
            distance = torch.where(self.seen, change.abs() * shares, 0).sum()
            rate = corollary_1(self.steps.double(), self.rate_decay, distance)
        else:
            rate = torch.full_like(self.smoothed[0], 1 - self.alpha)
        self.smoothed.add_(torch.where(self.seen, rate, 1) * change)
        self.seen.logical_or_(usable)
        return self.smoothed * shares
