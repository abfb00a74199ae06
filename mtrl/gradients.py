"""Per-task gradients for about the arithmetic of one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from mtrl.types import Rows, Stats

TaskLoss = Callable[[Tensor, Any], tuple[Tensor, Stats]]


def per_task_gradients(
    task_loss: TaskLoss, vector: Tensor, data: Any, rows: Rows | None = None
) -> tuple[Tensor, Tensor, Stats]:
    """Gradients of K losses in the same parameters, each loss seeing only its own task's data.

    The batch is sliced by task *before* the forward pass, so one batched backward pass gives every
    gradient; K passes over the joint batch would cost K times as much.

    Args:
        task_loss: ``(vector [P], data of one task) -> (loss, stats)``, both free of the K dimension.
        vector: the shared parameters, [P].
        data: any pytree of tensors [K, ...].
        rows: an aggregator's proposal, ``aggregator.propose(device)``. Only its R gradients are computed
            and stored; every task's samples are still used once.

    Returns:
        gradients [K, P], or [R, P] in the order of ``rows``; losses [K] and stats [K, ...] of every task.
    """
    if rows is None or rows.singles == rows.order.shape[0]:
        order = None if rows is None else rows.order
        return _in_task_order(*_single_rows(task_loss, vector, _take(data, order)), order)
    gradients, losses, stats = _single_rows(task_loss, vector, _take(data, rows.order[: rows.singles]))

    def rest_loss(vector: Tensor, data: Any) -> tuple[Tensor, tuple[Tensor, Stats]]:
        losses, stats = vmap(task_loss, in_dims=(None, 0))(vector, data)
        return losses.mean(), (losses, stats)

    rest = _take(data, rows.order[rows.singles :])
    mean_gradient, (_, (rest_losses, rest_stats)) = grad_and_value(rest_loss, has_aux=True)(vector, rest)
    stats = {name: torch.cat([value, rest_stats[name]]) for name, value in stats.items()}
    gradients = torch.cat([gradients, mean_gradient[None]])  # [R, P]
    return _in_task_order(gradients, torch.cat([losses, rest_losses]), stats, rows.order)


def _single_rows(task_loss: TaskLoss, vector: Tensor, data: Any) -> tuple[Tensor, Tensor, Stats]:
    batched = vmap(grad_and_value(task_loss, has_aux=True), in_dims=(None, 0))
    gradients, (losses, stats) = batched(vector, data)
    return gradients, losses, stats


def _take(data: Any, tasks: Tensor | None) -> Any:
    return data if tasks is None else tree_map(lambda leaf: leaf[tasks], data)


def _in_task_order(
    gradients: Tensor, losses: Tensor, stats: Stats, order: Tensor | None
) -> tuple[Tensor, Tensor, Stats]:
    """Losses and stats by task again; the gradients keep the order of the rows."""
    if order is None:
        return gradients, losses, stats
    place = order.argsort()  # [K]
    return gradients, losses[place], {name: value[place] for name, value in stats.items()}
