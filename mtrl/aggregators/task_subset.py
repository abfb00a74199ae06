"""A few random tasks and the mean of the others: CAGrad-Fast (Liu et al., NeurIPS 2021, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators.base import Aggregator, GramAggregator, build_inner, combine, masked_gram
from mtrl.errors import UsageError, require
from mtrl.types import Direction, Rows


class TaskSubset(GramAggregator):
    """Any stateless Gram method on ``size`` random tasks and one row for the rest; equation 4 with CAGrad.

    The rest's row is the mean of the other K − size gradients, (K g_0 − Σ_S g_i)/(K − size), and counts for
    (K − size)/K of the mean gradient: g_0 stays that of all K tasks. ``size`` = K is the inner method.

    To gain by it, ask before the backward pass which rows to compute::

        rows = aggregator.propose(shared.device)
        found = per_task_gradients(task_loss, shared, own, data, rows)  # found.shared [size + 1, P]
        direction = aggregator(found.shared, found.losses, rows)

    Called with all K gradients it draws and mixes by itself, at the cost of the full method.
    ``Direction.weights`` is [K] either way. Scale as the inner method.

    Args:
        inner: a Gram method without state, or what makes one when called with ``num_tasks``.
        size: how many tasks get a row of their own at each step.
        num_tasks: K; needed only if ``inner`` is not yet built.
    """

    def __init__(
        self,
        inner: Aggregator | Callable[..., Aggregator],
        *,
        size: int,
        num_tasks: int | None = None,
    ) -> None:
        built = build_inner("TaskSubset", inner, num_tasks)
        name = type(built).__name__
        if not isinstance(built, GramAggregator) or built.keeps_task_state:
            raise UsageError(
                f"TaskSubset: inner must be a GramAggregator without state for each task, found {name}; wrap "
                "the subset instead, as in CorrelationReduced(TaskSubset(CAGrad(10), size=4))"
            )
        super().__init__(built.num_tasks)
        require_number(self, "size", size, low=1, high=self.num_tasks)
        require(isinstance(size, int), f"TaskSubset: size must be an integer, found {size!r}")
        self.inner = built
        self.size = size

    def propose(self, device: torch.device) -> Rows:
        """Draw the tasks of the next step."""
        return Rows(torch.rand(self.num_tasks, device=device).argsort(), self.size)

    def gram(self, gradients: Tensor) -> Tensor:
        return self.inner.gram(gradients)

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        grouped = (self.propose(gram.device).mixing() > 0) * shares  # [R, K]
        row_shares = grouped.sum(1)
        # Each row averages its tasks by their shares, which leaves masked ones out.
        mixing = grouped / row_shares.clamp(min=TINY)[:, None]
        return self.inner.weights(mixing @ gram @ mixing.T, mixing @ losses.double(), row_shares) @ mixing

    @torch.no_grad()
    def forward(self, gradients: Tensor, losses: Tensor, rows: Rows | None = None) -> Direction:
        """Aggregate ``gradients`` [R, P] of the proposed ``rows``, or of all K tasks if there are none."""
        if rows is None:
            return super().forward(gradients, losses)
        self.check(gradients, losses, rows)
        mixing = rows.mixing()  # [R, K]
        row_losses = mixing @ losses.double()
        gram, usable = masked_gram(self.inner.gram(gradients), row_losses)
        sizes = (mixing > 0).sum(1)  # tasks in each row
        counts = torch.where(usable, sizes, 0).double()
        row_losses = torch.where(usable, row_losses, 0)
        weights = self.inner.weights(gram, row_losses, counts / counts.sum().clamp(min=1))
        weights = torch.where(usable, weights, 0)
        vector = combine(weights, gradients, usable)
        masked = torch.where(usable, 0, sizes).sum()
        return Direction(vector, (weights @ mixing).to(gradients.dtype), {"masked_tasks": masked}, usable)

    def check(self, gradients: Tensor, losses: Tensor, rows: Rows | None) -> None:
        if rows is None:
            return super().check(gradients, losses, rows)
        self.check_tensors(gradients, losses)
        count = min(rows.singles + 1, self.num_tasks)
        require(
            gradients.ndim == 2 and gradients.shape[0] == count,
            f"TaskSubset: gradients must have one row for each proposed one, {count}, found "
            f"{list(gradients.shape)}; pass the same rows to per_task_gradients",
        )
        return self.check_types(gradients, losses)
