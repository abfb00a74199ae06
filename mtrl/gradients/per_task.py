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
    task_loss: TaskLoss,
    shared: Tensor,
    own: Tensor,
    data: Any,
    rows: Rows | None = None,
    chunk: int | None = None,
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
        chunk: how many tasks to compute at once; None for all. What it saves is the activations of the
            others and the copy in which the layers' gradients become rows; [K, P] itself stays.
    """
    if rows is None or rows.singles == rows.order.shape[0]:
        order = None if rows is None else rows.order
        own, data = _take((own, data), order)
        return _in_task_order(*_single_rows(task_loss, shared, own, data, chunk), rows)
    singles, rest = (_take((own, data), part) for part in rows.order.tensor_split([rows.singles]))
    gradients, own_gradients, losses, stats = _single_rows(task_loss, shared, singles[0], singles[1], chunk)
    mean_gradient, rest_own, rest_losses, rest_stats = _mean_row(task_loss, shared, rest[0], rest[1], chunk)
    stats = {name: torch.cat([value, rest_stats[name]]) for name, value in stats.items()}
    return _in_task_order(
        torch.cat([gradients, mean_gradient[None]]),  # [R, P]
        torch.cat([own_gradients, rest_own]),
        torch.cat([losses, rest_losses]),
        stats,
        rows,
    )


def _single_rows(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any, chunk: int | None
) -> tuple[Tensor, Tensor, Tensor, Stats]:
    """A gradient of ``shared`` for each task, [K, P]; the own gradients, losses and statistics."""
    gradient = grad_and_value(task_loss, argnums=(0, 1), has_aux=True)
    gradients = None
    parts = []
    for tasks in _chunks(own.shape[0], chunk):
        (rows, own_rows), (losses, stats) = vmap(gradient, in_dims=(None, 0, 0))(
            shared, *_take((own, data), tasks)
        )
        if tasks is None:
            return rows, own_rows, losses, stats
        if gradients is None:
            gradients = rows.new_empty(own.shape[0], shared.shape[0])  # [K, P]
        gradients[tasks] = rows
        parts.append((own_rows, losses, stats))
    assert gradients is not None
    return gradients, *_joined(parts)


def _mean_row(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any, chunk: int | None
) -> tuple[Tensor, Tensor, Tensor, Stats]:
    """One gradient of ``shared`` for the mean of the losses, [P]; the rest by task."""

    def total(shared: Tensor, own: Tensor, data: Any) -> tuple[Tensor, tuple[Tensor, Stats]]:
        losses, stats = vmap(task_loss, in_dims=(None, 0, 0))(shared, own, data)
        return losses.sum(), (losses, stats)

    gradient = grad_and_value(total, argnums=(0, 1), has_aux=True)
    summed = torch.zeros_like(shared)
    parts = []
    for tasks in _chunks(own.shape[0], chunk):
        (found, own_rows), (_, (losses, stats)) = gradient(shared, *_take((own, data), tasks))
        summed = summed + found
        parts.append((own_rows, losses, stats))
    return summed / own.shape[0], *_joined(parts)


def _chunks(num_tasks: int, chunk: int | None) -> list[slice | None]:
    """Slices of at most ``chunk`` tasks; None alone stands for all of them."""
    if chunk is None or chunk >= num_tasks:
        return [None]
    return [slice(first, first + chunk) for first in range(0, num_tasks, chunk)]


def _joined(parts: list[tuple[Tensor, Tensor, Stats]]) -> tuple[Tensor, Tensor, Stats]:
    if len(parts) == 1:
        return parts[0]
    own, losses, stats = zip(*parts, strict=True)
    return torch.cat(own), torch.cat(losses), {key: torch.cat([s[key] for s in stats]) for key in stats[0]}


def _take(data: Any, tasks: Tensor | slice | None) -> Any:
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
