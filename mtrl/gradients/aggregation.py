"""From task losses to one direction, and how much the tasks disagreed on the way."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from mtrl.aggregators import Aggregator, gram_matrix
from mtrl.aggregators._linalg.cosines import unit_rows
from mtrl.aggregators.base import row_norms
from mtrl.gradients.per_task import TaskGradients
from mtrl.training.nonfinite import NONFINITE
from mtrl.types import Direction, Rows, Stats

Scope = Literal["shared", "all"]


class Aggregated(NamedTuple):
    """One aggregation: what went in and what came out."""

    gradients: Tensor  # [K, P], or [R, P] where the aggregator proposed R rows
    losses: Tensor  # [K]
    stats: Stats  # of the losses, [K]
    direction: Direction  # whose vector is [P], or [P + K Q] where own parameters were aggregated too
    shared: Tensor  # [P], the direction of the shared parameters
    own: Tensor  # [K, Q], of those that belong to one task each
    nonfinite: Tensor  # [K] bool, where a task's gradient was not finite
    rows: Rows | None = None  # the R rows

    def statistics(self, prefix: str, diagnose: bool) -> Stats:
        """All statistics, 0-d, [K] or [K, K], named ``prefix/...``; with the conflict if ``diagnose``."""
        stats = self.stats | {"loss": self.losses, NONFINITE: self.nonfinite} | self.direction.stats
        if self.direction.weights is not None:
            stats["weight"] = self.direction.weights
        if diagnose and self.gradients.numel():
            stats |= conflict_statistics(self.gradients, self.direction.vector)
            if self.rows is not None:  # row k is not task k
                del stats["gradient_norm"], stats["cosine"]
        return {f"{prefix}/{name}": value for name, value in stats.items()}


def proposed_rows(aggregator: Aggregator, shared: Tensor) -> Rows | None:
    """The gradients in ``shared`` [P] that the aggregator asks for; without shared parameters all K."""
    return aggregator.propose(shared.device) if shared.numel() else None


def aggregate_gradients(found: TaskGradients, aggregator: Aggregator, scope: Scope) -> Aggregated:
    """One direction for the shared parameters and one for each task's own.

    Args:
        found: per-task gradients, of the rows that ``aggregator`` proposed; ``own`` is used up.
        aggregator: for K tasks.
        scope: "shared": each task's own parameters follow their gradient, whatever the aggregator says of
            the rest. "all": a task's own parameters are coordinates where the other tasks have gradient
            zero, and what the aggregator makes of the joint rows moves both; on the scale of the mean.
    """
    count = found.shared.shape[1]
    own_nonfinite = ~row_norms(found.own).isfinite()  # [K]
    if scope == "all" and found.own.numel():
        joint = torch.cat([found.shared, _own_coordinates(found)], dim=1)  # [R, P + K Q]
        direction = aggregator(joint, found.losses, found.rows)
        shared, own = direction.vector[:count], direction.vector[count:].view_as(found.own)
        nonfinite = _nonfinite_tasks(found, direction) | own_nonfinite  # [K]
        return Aggregated(joint, found.losses, found.stats, direction, shared, own, nonfinite, found.rows)
    # A task without finite gradients stands still; the aggregator sees to that for the shared ones.
    # In place: a copy of K Q numbers takes longer than the optimiser's step.
    own = found.own.masked_fill_(own_nonfinite[:, None], 0)  # [K, Q]
    if count == 0:
        direction = Direction(found.shared.new_zeros(0), None, {})
    else:
        direction = aggregator(found.shared, found.losses, found.rows)
    nonfinite = _nonfinite_tasks(found, direction) | own_nonfinite  # [K]
    return Aggregated(
        found.shared, found.losses, found.stats, direction, direction.vector, own, nonfinite, found.rows
    )


def _nonfinite_tasks(found: TaskGradients, direction: Direction) -> Tensor:
    """The tasks [K] that have a part in a gradient [P] which is not finite."""
    # The method has looked at every row already; another pass over [K, P] would cost what the step costs.
    usable = row_norms(found.shared).isfinite() if direction.usable is None else direction.usable  # [R]
    return ~usable if found.rows is None else ((found.rows.mixing() > 0) & ~usable[:, None]).any(0)


def _own_coordinates(found: TaskGradients) -> Tensor:
    """Each row's gradient in the own parameters of every task, [R, K Q]."""
    own, rows = found.own, found.rows
    mixing = torch.eye(len(own), device=own.device) if rows is None else rows.mixing()  # [R, K]
    mixing = mixing[:, :, None].to(own.dtype)
    # Not a bare product: a task's infinite gradient times zero would spoil the rows of the others.
    return torch.where(mixing > 0, mixing * own, 0).flatten(1)


def conflict_statistics(gradients: Tensor, vector: Tensor) -> Stats:
    """How much ``gradients`` [K, P] disagree, and what the direction ``vector`` [P] does to each.

    Returns:
        conflict_fraction: share of the task pairs with a negative inner product.
        cosine: [K, K], between the gradients; 0 where one has no length.
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
        "cosine": cosine,
        "conflict_fraction": ((gram < 0) * above).sum() / pairs,
        "cosine_min": torch.where(above > 0, cosine, torch.inf).min().clamp(max=1.0) * min(num - 1, 1),
        "cosine_mean": (cosine * above).sum() / pairs,
        "gradient_norm": norms,
        "direction_norm": torch.linalg.vector_norm(vector),
        "worst_improvement": (gradients @ vector).min(),
    }
