"""Gives any module whose K losses share a batch their aggregated gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn

from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.proposing import Proposing
from mtrl.errors import require
from mtrl.types import Direction


def backward(
    losses: Tensor,
    parameters: Iterable[nn.Parameter],
    aggregator: Aggregator,
    *,
    task_parameters: Iterable[nn.Parameter] = (),
) -> Direction:
    """Add the aggregated gradient of K losses to ``.grad`` of each parameter, like ``loss.backward()``.

    The K backward passes over the shared graph run as one batched pass. (Where each loss reads samples of
    its own, as in reinforcement learning, :func:`~mtrl.gradients.per_task.per_task_gradients` is K times
    cheaper.)

    Args:
        losses: [K], the task losses with their graph, such as ``torch.stack([loss_a, loss_b])``.
        parameters: what the tasks share.
        aggregator: for K tasks. Of one that proposes gradients, only these are computed.
        task_parameters: parameters outside the aggregator, such as heads of one task each; they get the
            gradient of the sum of the losses.

    Returns:
        The direction, whose ``vector`` has the shared parameters' gradients one after another.
    """
    shared, own = list(parameters), list(task_parameters)
    require(len(shared) > 0, "backward: parameters must not be empty; pass what the tasks share")
    require(
        isinstance(losses, Tensor),
        f"backward: losses must be a tensor, found {type(losses).__name__}; use torch.stack(losses)",
    )
    require(
        isinstance(aggregator, Aggregator),
        f"backward: aggregator must be an mtrl.aggregators.Aggregator, found {aggregator!r}",
    )
    require(
        losses.ndim == 1 and len(losses) == aggregator.num_tasks,
        f"backward: losses must have shape [K] with K = num_tasks = {aggregator.num_tasks}, found "
        f"{list(losses.shape)}; stack the task losses",
    )
    require(losses.requires_grad, "backward: losses must depend on parameters; compute them without no_grad")
    call: Callable[[Tensor, Tensor], Direction] = aggregator
    mixing = torch.eye(len(losses), device=losses.device)  # [K, K]
    if isinstance(aggregator, Proposing):
        proposal = aggregator.propose(losses.device)
        call, mixing = partial(aggregator, proposal=proposal), proposal.mixing()  # [R, K]
    parts = torch.autograd.grad(
        losses,
        shared,
        mixing.to(losses.dtype),
        retain_graph=len(own) > 0,
        allow_unused=True,
        is_grads_batched=True,
    )
    pairs = zip(parts, shared, strict=True)
    # A parameter that no loss uses has no gradient, that is, zeros.
    filled = [p.new_zeros(len(mixing), p.numel()) if part is None else part.flatten(1) for part, p in pairs]
    gradients = torch.cat(filled, dim=1)  # [R, P]
    direction = call(gradients, losses.detach())
    sizes = [parameter.numel() for parameter in shared]
    for parameter, part in zip(shared, torch.split(direction.vector, sizes), strict=True):
        _accumulate(parameter, part.view_as(parameter))
    if own:
        own_parts = torch.autograd.grad(losses.sum(), own, allow_unused=True, materialize_grads=True)
        for parameter, part in zip(own, own_parts, strict=True):
            _accumulate(parameter, part)
    return direction


def _accumulate(parameter: nn.Parameter, gradient: Tensor) -> None:
    if parameter.grad is None:
        parameter.grad = gradient.clone()
    else:
        parameter.grad.add_(gradient)
