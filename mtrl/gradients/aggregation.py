"""Records one aggregation: what went in, what came out, and how much the tasks disagreed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mtrl.aggregators import gram_matrix
from mtrl.aggregators._linalg.cosines import inverse_norms
from mtrl.aggregators.matrix import are_finite
from mtrl.gradients.layers import LayerGradients
from mtrl.gradients.per_task import TaskGradients
from mtrl.types import NONFINITE, NONFINITE_DIRECTION, Direction, Metrics


class Aggregated(NamedTuple):
    """Holds the task gradients and the directions that became of them."""

    found: TaskGradients
    gradients: (
        Tensor | LayerGradients
    )  # what the aggregator saw: found.shared, or [K, P + K Q] with the own parameters
    direction: Direction  # of these
    shared: Tensor  # [P], the direction of the shared parameters
    own: Tensor  # [K, Q], of those that belong to one task each
    nonfinite: Tensor  # [K] bool, where a task's gradient was not finite

    def metrics(self, prefix: str, diagnose: bool) -> Metrics:
        """Name all metrics, 0-d, [K] or [K, K], ``prefix/...``; with the conflict if ``diagnose``."""
        found, direction = self.found, self.direction
        bad = ~are_finite(direction.vector.sum())  # of finite gradients: an aggregator leaves out the others
        verdicts = {NONFINITE: self.nonfinite, NONFINITE_DIRECTION: bad.expand_as(self.nonfinite)}
        metrics = found.metrics | {"loss": found.losses} | verdicts | direction.metrics
        if direction.weights is not None:
            metrics["weight"] = direction.weights
        if diagnose and self.gradients.shape[1]:
            metrics |= conflict_metrics(self.gradients, direction)
            if found.proposal is not None:  # gradient k is not that of task k
                del metrics["gradient_norm"], metrics["cosine"]
        return {f"{prefix}/{name}": value for name, value in metrics.items()}


def conflict_metrics(gradients: Tensor | LayerGradients, direction: Direction) -> Metrics:
    """Measure how much ``gradients`` [K, P] disagree, and what ``direction`` does to each.

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
    cosine = inverse_norms(norms)[:, None] * gram * inverse_norms(norms)
    num = gram.shape[0]
    above = torch.ones_like(gram).triu(1)  # [K, K], 1 for each pair i < j
    pairs = max(num * (num - 1) // 2, 1)
    if isinstance(gradients, Tensor):
        improvements = gradients @ direction.vector  # [K]
    else:
        assert direction.weights is not None
        improvements = (gram @ direction.weights.double()).to(gradients.dtype)
    return {
        "cosine": cosine,
        "conflict_fraction": ((gram < 0) * above).sum() / pairs,
        "cosine_min": torch.where(above > 0, cosine, torch.inf).min().clamp(max=1.0) * min(num - 1, 1),
        "cosine_mean": (cosine * above).sum() / pairs,
        "gradient_norm": norms,
        "direction_norm": torch.linalg.vector_norm(direction.vector),
        "worst_improvement": improvements.min(),
    }
