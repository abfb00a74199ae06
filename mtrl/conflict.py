"""How much the tasks disagree, and what the aggregator made of it."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators import gram_matrix
from mtrl.aggregators.interior_point import unit_rows
from mtrl.types import Direction, Stats


def conflict_statistics(gradients: Tensor, direction: Direction) -> Stats:
    """Diagnostics of one aggregation, on the device.

    Args:
        gradients: [K, P].
        direction: what the aggregator returned for them.

    Returns:
        conflict_fraction: share of the task pairs with a negative inner product.
        cosine_min, cosine_mean: over the task pairs; 0 for a single task.
        gradient_norm: [K].
        direction_norm: ‖d‖.
        worst_improvement: min_i ⟨g_i, d⟩, negative where some task gets worse to first order.
        weight: [K], where the method has weights.
        The method's own statistics under their names.
    """
    gram = gram_matrix(gradients)  # [K, K]
    norms = gram.diagonal().clamp(min=0).sqrt()
    cosine = unit_rows(norms)[:, None] * gram * unit_rows(norms)
    num = gram.shape[0]
    above = torch.ones_like(gram).triu(1)  # [K, K], 1 for each pair i < j
    pairs = max(num * (num - 1) // 2, 1)
    stats = {
        "conflict_fraction": ((gram < 0) * above).sum() / pairs,
        "cosine_min": torch.where(above > 0, cosine, torch.inf).min().clamp(max=1.0) * min(num - 1, 1),
        "cosine_mean": (cosine * above).sum() / pairs,
        "gradient_norm": norms,
        "direction_norm": torch.linalg.vector_norm(direction.vector),
        "worst_improvement": (gradients @ direction.vector).min(),
    }
    if direction.weights is not None:
        stats["weight"] = direction.weights
    return stats | direction.stats
