"""Averages each task's gradients over time, as MoCo does (Fernando et al., ICLR 2023), under any method."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators.base import Aggregator, GramAggregator, build_inner
from mtrl.aggregators.matrix import column_blocks, finite_blocks
from mtrl.errors import require
from mtrl.types import Direction


class MovingAverage(nn.Module):
    """Keeps  y ← Π(y − β_k (y − h))  for each task's gradient h, with β_k = β k^(−decay).

    That is MoCo's equation 7. An average starts at its first usable gradient, where the paper leaves y_0
    open; a masked task's stays. Π clips it to ``radius``. The matrix [K, P] is allocated at the first call or
    by the checkpoint loaded, in float32 where gradients are less.
    """

    rows: Tensor  # the averages [K, P], one row a task; renaming it would orphan every checkpoint
    seen: Tensor
    steps: Tensor

    def __init__(self, num_tasks: int, beta: float, decay: float, radius: float | None) -> None:
        super().__init__()
        self.beta = beta
        self.decay = decay
        self.radius = radius
        self.register_buffer("rows", torch.zeros(num_tasks, 0))
        self.register_buffer("seen", torch.zeros(num_tasks, dtype=torch.bool))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def rate(self, usable: Tensor) -> Tensor:
        """Say what the newest gradients of the ``usable`` [K] count for, 0-d or [K]; once a step."""
        return (self.beta * self.steps.double() ** -self.decay).clamp(max=1)

    def forward(self, gradients: Tensor, usable: Tensor) -> Tensor:
        """Return the averages [K, P] after seeing those of ``gradients`` [K, P] that are ``usable`` [K]."""
        if self.rows.shape[1] == 0:
            dtype = torch.promote_types(gradients.dtype, torch.float32)
            self.rows = torch.zeros_like(gradients, dtype=dtype)
        require(
            self.rows.shape == gradients.shape,
            f"MovingAverage: gradients must keep the shape {list(self.rows.shape)} of earlier calls, found "
            f"{list(gradients.shape)}; use one aggregator for each set of parameters",
        )
        self.steps.add_(1)
        rate = torch.where(self.seen, self.rate(usable), 1) * usable  # [K]
        rate = rate[:, None].to(self.rows.dtype)
        blocks = finite_blocks(gradients, self.rows.dtype)
        for tracked, block in zip(column_blocks(self.rows), blocks, strict=True):
            tracked.lerp_(block, rate)
        self.seen.logical_or_(usable)
        if self.radius is not None:
            norms = torch.linalg.vector_norm(self.rows, dim=1, keepdim=True)
            self.rows.mul_((self.radius / norms).clamp(max=1))
        return self.rows


class GradientTracking(Aggregator):
    """Runs any aggregator on tracked gradients: ``GradientTracking(CAGrad(10))`` is CAGrad + MoCo.

    The direction's scale is that of the inner method on the averages. It is no combination of this step's
    gradients alone, so ``Direction.weights`` is ``None``; the inner method's weights, if it has any, are in
    ``Direction.metrics``. The average of a masked task waits until the task is back.

    Args:
        inner: an aggregator, or what makes one when called with ``num_tasks``.
        num_tasks: K; needed only if ``inner`` is not yet built.
        beta: weight of the newest gradient; 1 tracks nothing.
        beta_decay: the weight of step k is beta·k^(−beta_decay), at most 1; beta may then exceed 1.
        radius: averages are clipped to this norm; ``None`` for no limit.
    """

    keeps_task_state = True
    masks_itself = True

    def __init__(
        self,
        inner: Aggregator | Callable[..., Aggregator],
        *,
        num_tasks: int | None = None,
        beta: float = 0.99,
        beta_decay: float = 0.0,
        radius: float | None = None,
    ) -> None:
        built = build_inner("GradientTracking", inner, num_tasks)
        super().__init__(built.num_tasks)
        self.inner = built
        self.tracker = build_tracker(self, beta, beta_decay, radius)

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        usable = shares > 0
        tracked = self.tracker(gradients, usable)
        if not isinstance(self.inner, GramAggregator) and not self.inner.masks_itself:
            tracked = torch.where(usable[:, None], tracked, 0)
        direction = self.inner.aggregate(tracked, losses, shares)
        metrics = {} if direction.weights is None else {"tracked_weight": direction.weights}
        return Direction(direction.vector.to(gradients.dtype), None, direction.metrics | metrics)


def build_tracker(owner: Aggregator, beta: float, beta_decay: float, radius: float | None) -> MovingAverage:
    """Check a tracker's hyper-parameters on behalf of ``owner``, and build it."""
    beta_decay = require_number(owner, "beta_decay", beta_decay, low=0)
    # A weight that decays may start above 1, as the paper's 5/√k: until it is below, nothing is averaged.
    beta = require_number(owner, "beta", beta, above=0, high=1 if beta_decay == 0 else math.inf)
    if radius is not None:
        radius = require_number(owner, "radius", radius, above=0)
    return MovingAverage(owner.num_tasks, beta, beta_decay, radius)
