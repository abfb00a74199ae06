"""Per-task gradients for about the arithmetic of one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from mtrl.types import Rows, Stats

TaskLoss = Callable[[Tensor, Tensor, Any], tuple[Tensor, Stats]]


class TaskGradients(NamedTuple):
    """What K task losses say about the parameters."""

    shared: Tensor  # [K, P], or [R, P] in the order of the rows that an aggregator proposed
    own: Tensor  # [K, Q], row k in the parameters that only task k has
    losses: Tensor  # [K]
    stats: Stats  # [K, ...]
    rows: Rows | None  # what ``shared`` holds; None stands for one row for each task


def per_task_gradients(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any, rows: Rows | None = None
) -> TaskGradients:
    """Gradients of K losses, each loss seeing only its own task's data.

    The batch is sliced by task *before* the forward pass, so one batched backward pass gives every
    gradient; K passes over the joint batch would cost K times as much.

    Args:
        task_loss: ``(shared [P], own [Q], data of one task) -> (loss, stats)``, free of the K dimension.
        shared: the parameters of all tasks, [P].
        own: the parameters that belong to one task each, [K, Q]; Q may be 0.
        data: any pytree of tensors [K, ...].
        rows: an aggregator's proposal, ``aggregator.propose(device)``. Only its R gradients in ``shared``
            are computed and stored; every task's samples are still used once.
    """
    if rows is None or rows.singles == rows.order.shape[0]:
        order = None if rows is None else rows.order
        return _in_task_order(*_single_rows(task_loss, shared, *_take((own, data), order)), rows)
    singles = _take((own, data), rows.order[: rows.singles])
    gradients, own_gradients, losses, stats = _single_rows(task_loss, shared, *singles)

    def rest_loss(shared: Tensor, own: Tensor, data: Any) -> tuple[Tensor, tuple[Tensor, Stats]]:
        losses, stats = vmap(task_loss, in_dims=(None, 0, 0))(shared, own, data)
        return losses.mean(), (losses, stats)

    rest = _take((own, data), rows.order[rows.singles :])
    rest_gradients = grad_and_value(rest_loss, argnums=(0, 1), has_aux=True)(shared, *rest)
    (mean_gradient, rest_own), (_, (rest_losses, rest_stats)) = rest_gradients
    # The mean over the rest divides each task's own gradient by their number; a task has it whole.
    rest_own = rest_own * rest_losses.shape[0]
    stats = {name: torch.cat([value, rest_stats[name]]) for name, value in stats.items()}
    return _in_task_order(
        torch.cat([gradients, mean_gradient[None]]),  # [R, P]
        torch.cat([own_gradients, rest_own]),
        torch.cat([losses, rest_losses]),
        stats,
        rows,
    )


def _single_rows(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any
) -> tuple[Tensor, Tensor, Tensor, Stats]:
    gradient = grad_and_value(task_loss, argnums=(0, 1), has_aux=True)
    (shared_rows, own_rows), (losses, stats) = vmap(gradient, in_dims=(None, 0, 0))(shared, own, data)
    return shared_rows, own_rows, losses, stats


def _take(data: Any, tasks: Tensor | None) -> Any:
    return data if tasks is None else tree_map(lambda leaf: leaf[tasks], data)


def _in_task_order(
    shared: Tensor, own: Tensor, losses: Tensor, stats: Stats, rows: Rows | None
) -> TaskGradients:
    """All but the shared gradients by task again; those keep the order of the rows."""
    if rows is None:
        return TaskGradients(shared, own, losses, stats, None)
    place = rows.order.argsort()  # [K]
    stats = {name: value[place] for name, value in stats.items()}
    return TaskGradients(shared, own[place], losses[place], stats, rows)
