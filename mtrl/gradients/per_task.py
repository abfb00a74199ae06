"""Computes the gradients of K task losses for about the arithmetic of one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.utils._pytree import tree_map

from mtrl.gradients.layers import LayerGradients
from mtrl.types import Metrics, Proposal

TaskLoss = Callable[[Any, Tensor, Any], tuple[Tensor, Metrics]]


class TaskGradients(NamedTuple):
    """Holds what K task losses say about the parameters."""

    shared: Tensor | LayerGradients  # [K, P], of the parameters that all tasks have in common
    own: Tensor  # [K, Q], of the parameters that only task k has
    losses: Tensor  # [K]
    metrics: Metrics  # [K, ...]
    proposal: Proposal | None = None  # where ``shared`` is [R, P], as an aggregator proposed


def per_task_gradients(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any, chunk: int | None = None
) -> TaskGradients:
    """Compute the gradients of K losses, each of which sees only its own task's data.

    The batch is sliced by task *before* the forward pass, so one batched backward pass gives every
    gradient; K passes over the joint batch would cost K times as much.

    Args:
        task_loss: ``(shared [P], own [Q], data of one task) -> (loss, metrics)``, free of the K dimension.
        shared: the parameters of all tasks, [P].
        own: the parameters that belong to one task each, [K, Q]; Q may be 0.
        data: any pytree of tensors [K, ...].
        chunk: how many tasks to compute at once; None for all. What it saves is the activations of the
            others and the copy that makes one matrix of the layers' gradients; [K, P] itself stays.
    """
    gradient = vmap(grad_and_value(task_loss, argnums=(0, 1), has_aux=True), in_dims=(None, 0, 0))
    count = own.shape[0]  # K
    if chunk is None or chunk >= count:
        (gradients, own_gradients), (losses, metrics) = gradient(shared, own, data)
        return TaskGradients(gradients, own_gradients, losses, metrics)
    gradients = None
    parts = []
    for tasks in chunks(count, chunk):
        (found, own_found), (losses, metrics) = gradient(shared, *take((own, data), tasks))
        if gradients is None:
            gradients = found.new_empty(count, shared.shape[0])  # [K, P]
        gradients[tasks] = found
        parts.append((own_found, losses, metrics))
    assert gradients is not None
    return TaskGradients(gradients, *joined(parts))


def own_coordinates(found: TaskGradients) -> Tensor:
    """Write each gradient in the own parameters of every task, [K, K Q], or [R, K Q] as proposed."""
    own, proposal = found.own, found.proposal
    mixing = torch.eye(len(own), device=own.device) if proposal is None else proposal.mixing()  # [R, K]
    mixing = mixing[:, :, None].to(own.dtype)
    # Not a bare product: a task's infinite gradient times zero would spoil those of the others.
    return torch.where(mixing > 0, mixing * own, 0).flatten(1)


def chunks(count: int, chunk: int | None) -> list[slice]:
    """Cut ``count`` tasks into slices of at most ``chunk``; None stands for one of them all."""
    step = count if chunk is None else chunk
    return [slice(first, first + step) for first in range(0, count, step)]


def take(data: Any, tasks: Tensor | slice) -> Any:
    """Take some tasks of a pytree of tensors [K, ...]."""
    return tree_map(lambda leaf: leaf[tasks], data)


def joined(parts: list[tuple[Tensor, Tensor, Metrics]]) -> tuple[Tensor, Tensor, Metrics]:
    """Join own gradients, losses and metrics of some tasks to those of all."""
    own, losses, metrics = zip(*parts, strict=True)
    by_name = {name: torch.cat([part[name] for part in metrics]) for name in metrics[0]}
    return torch.cat(own), torch.cat(losses), by_name
