"""From task losses to one direction, and how much the tasks disagreed on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mtrl.aggregators import Aggregator, gram_matrix
from mtrl.aggregators.cosines import unit_rows
from mtrl.gradients import TaskLoss, per_task_gradients
from mtrl.types import Direction, Stats


class Aggregated(NamedTuple):
    """One aggregation: what went in and what came out."""

    gradients: Tensor  # [K, P], or [R, P] where the aggregator proposed R rows
    losses: Tensor  # [K]
    stats: Stats  # of the losses, [K]
    direction: Direction

    def statistics(self, prefix: str, diagnose: bool) -> Stats:
        """All statistics, 0-d or [K], named ``prefix/...``; with the gradients' conflict if ``diagnose``."""
        stats = self.stats | {"loss": self.losses} | self.direction.stats
        if self.direction.weights is not None:
            stats["weight"] = self.direction.weights
        if diagnose:
            stats |= conflict_statistics(self.gradients, self.direction.vector)
            norms = stats.pop("gradient_norm")
            if norms.shape == self.losses.shape:  # otherwise the rows are not the tasks
                stats["gradient_norm"] = norms
        return {f"{prefix}/{name}": value for name, value in stats.items()}


def aggregate_gradients(task_loss: TaskLoss, vector: Tensor, data: Any, aggregator: Aggregator) -> Aggregated:
    """Per-task gradients, only those the aggregator asks for, and its direction.

    Args:
        task_loss: ``(vector [P], data of one task) -> (loss, stats)``.
        vector: the shared parameters, [P].
        data: any pytree of tensors [K, ...].
        aggregator: for K tasks.
    """
    rows = aggregator.propose(vector.device)
    gradients, losses, stats = per_task_gradients(task_loss, vector, data, rows)
    return Aggregated(gradients, losses, stats, aggregator(gradients, losses, rows))


def conflict_statistics(gradients: Tensor, vector: Tensor) -> Stats:
    """How much ``gradients`` [K, P] disagree, and what the direction ``vector`` [P] does to each.

    Returns:
        conflict_fraction: share of the task pairs with a negative inner product.
        cosine_min, cosine_mean: over the task pairs; 0 for a single task.
        gradient_norm: [K].
        direction_norm: ‖d‖.
        worst_improvement: min_i ⟨g_i, d⟩, negative where some task gets worse to first order.
    """
    gram = gram_matrix(gradients)  # [K, K]
    norms = gram.diagonal().clamp(min=0).sqrt()
    cosine = unit_rows(norms)[:, None] * gram * unit_rows(norms)
    num = gram.shape[0]
    above = torch.ones_like(gram).triu(1)  # [K, K], 1 for each pair i < j
    pairs = max(num * (num - 1) // 2, 1)
    return {
        "conflict_fraction": ((gram < 0) * above).sum() / pairs,
        "cosine_min": torch.where(above > 0, cosine, torch.inf).min().clamp(max=1.0) * min(num - 1, 1),
        "cosine_mean": (cosine * above).sum() / pairs,
        "gradient_norm": norms,
        "direction_norm": torch.linalg.vector_norm(vector),
        "worst_improvement": (gradients @ vector).min(),
    }
