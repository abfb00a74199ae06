"""Computes the few gradients that an aggregator proposes instead of one for each task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.func import grad_and_value, vmap

from mtrl.gradients.flat_module import FlatModule
from mtrl.gradients.layers import LayerGradients
from mtrl.gradients.layerwise import layer_gradients
from mtrl.gradients.per_task import TaskGradients, TaskLoss, chunks, joined, per_task_gradients, take
from mtrl.gradients.taps import Use
from mtrl.types import Metrics, Proposal


def proposed_gradients(
    task_loss: TaskLoss,
    shared: Tensor,
    own: Tensor,
    data: Any,
    proposal: Proposal,
    chunk: int | None = None,
) -> TaskGradients:
    """Compute the R gradients that ``proposal`` asks for, and no others, into ``shared`` [R, P].

    Every task's samples are used once. The R gradients come in the proposal's order, all else by task.
    """
    order, singles, rest = proposal
    one_own, one = take((own, data), order[:singles])
    parts = [per_task_gradients(task_loss, shared, one_own, one, chunk)]
    if singles < order.shape[0]:
        others_own, others = take((own, data), order[singles:])
        of_others = _mean_gradient if rest else _no_gradient
        parts.append(of_others(task_loss, shared, others_own, others, chunk))
    rows = torch.cat([cast(Tensor, part.shared) for part in parts])  # [R, P]
    return _by_task(rows, joined([(part.own, part.losses, part.metrics) for part in parts]), proposal)


def proposed_of_layers(
    task_loss: TaskLoss, network: FlatModule, data: Any, proposal: Proposal, uses: Sequence[Use]
) -> TaskGradients:
    """Compute the same in one pass for all tasks, which stops at the outputs of layers.

    A layer's part of the mean gradient is one product over the samples of all the other tasks.

    Args:
        task_loss, network, data, uses: as :func:`~mtrl.gradients.layerwise.layer_gradients`.
        proposal: with the mean of the others.
    """
    order, singles, _ = proposal
    own, data = take((network.own.detach(), data), order)
    found = layer_gradients(task_loss, network, data, uses, own)
    assert isinstance(found.shared, LayerGradients)
    rows = found.shared.some(slice(singles)).matrix()
    if singles < order.shape[0]:
        rows = torch.cat([rows, found.shared.some(slice(singles, None)).mean()])  # [R, P]
    return _by_task(rows, (found.own, found.losses, found.metrics), proposal)


def _by_task(rows: Tensor, found: tuple[Tensor, Tensor, Metrics], proposal: Proposal) -> TaskGradients:
    """Bring all but the ``rows`` from the proposal's order into that of the tasks."""
    own, losses, metrics = found
    place = proposal.order.argsort()  # [K]
    by_name = {name: value[place] for name, value in metrics.items()}
    return TaskGradients(rows, own[place], losses[place], by_name, proposal)


def _mean_gradient(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any, chunk: int | None
) -> TaskGradients:
    """Compute one gradient of ``shared``, of the losses' mean, [1, P]; the rest by task."""

    def total(shared: Tensor, own: Tensor, data: Any) -> tuple[Tensor, tuple[Tensor, Metrics]]:
        losses, metrics = vmap(task_loss, in_dims=(None, 0, 0))(shared, own, data)
        return losses.sum(), (losses, metrics)

    gradient = grad_and_value(total, argnums=(0, 1), has_aux=True)
    summed = torch.zeros_like(shared)
    parts = []
    for tasks in chunks(own.shape[0], chunk):
        (found, own_found), (_, (losses, metrics)) = gradient(shared, *take((own, data), tasks))
        summed = summed + found
        parts.append((own_found, losses, metrics))
    return TaskGradients((summed / own.shape[0])[None], *joined(parts))


def _no_gradient(
    task_loss: TaskLoss, shared: Tensor, own: Tensor, data: Any, chunk: int | None
) -> TaskGradients:
    """Compute none of ``shared``, [0, P]; the rest by task."""
    gradient = vmap(grad_and_value(task_loss, argnums=1, has_aux=True), in_dims=(None, 0, 0))
    parts = []
    for tasks in chunks(own.shape[0], chunk):
        own_found, (losses, metrics) = gradient(shared, *take((own, data), tasks))
        parts.append((own_found, losses, metrics))
    return TaskGradients(shared.new_empty(0, shared.shape[0]), *joined(parts))
