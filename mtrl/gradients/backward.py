"""Gives any module whose K losses share a batch their aggregated gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import torch
from torch import Tensor

from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.matrix import gradient_norms
from mtrl.aggregators.proposing import Proposing
from mtrl.errors import require
from mtrl.gradients.accumulate import accumulate
from mtrl.gradients.graph import nodes_of, operation, require_whole, zeros_stay_zeros
from mtrl.gradients.passes import differentiate
from mtrl.gradients.rows import task_rows
from mtrl.types import Direction, Layout


def backward(
    losses: Tensor,
    parameters: Iterable[Tensor],
    aggregator: Aggregator,
    *,
    task_parameters: Iterable[Tensor] = (),
    retain_graph: bool = False,
    batched: bool | None = None,
) -> Direction:
    """Add the aggregated gradient of K losses to ``.grad`` of each parameter, like ``loss.backward()``.

    The K backward passes over the shared graph run as one batched pass. (Where each loss reads samples of
    its own, as in reinforcement learning, :func:`~mtrl.gradients.per_task.per_task_gradients` is K times
    cheaper.)

    A parameter given twice counts once, and as the task's own if it is also among these; a frozen one is
    passed over. A task whose loss or gradient is not finite is left out, also from the gradients of the task
    parameters; where none is left, ``.grad`` becomes NaN. Losses that ``scaler.scale`` made larger are seen
    by the aggregator as they were, and if one overflows ``.grad`` becomes NaN, so that the scaler notices.

    Args:
        losses: [K], the task losses with their graph, such as ``torch.stack([loss_a, loss_b])``.
        parameters: what the tasks share.
        aggregator: for K tasks. Of one that proposes gradients, only these are computed.
        task_parameters: parameters outside the aggregator, such as heads of one task each; they get the
            gradient of the sum of the losses.
        retain_graph: keep the graph for another backward pass.
        batched: False to loop over the tasks, with the memory of one backward pass; True to raise where
            batching fails, which by default leads to the loop.

    Returns:
        The direction, whose ``vector`` has the gradients of the shared parameters that learn, one after
        another.
    """
    own = _learning(task_parameters, "task_parameters")
    shared = [one for one in _learning(parameters, "parameters") if all(one is not other for other in own)]
    require(
        len(shared) > 0,
        "backward: parameters must not be empty; pass what the tasks share, that learns (requires_grad) and "
        "is not among task_parameters",
    )
    _check(losses, aggregator)
    nodes = nodes_of(losses)
    require_whole(nodes)
    scale = _scale_of(losses)
    call: Callable[[Tensor, Tensor], Direction] = aggregator
    mixing = torch.eye(len(losses), device=losses.device)  # [K, K]
    if isinstance(aggregator, Proposing):
        proposal = aggregator.propose(losses.device)
        call, mixing = partial(aggregator, proposal=proposal), proposal.mixing()  # [R, K]
    with zeros_stay_zeros(nodes):
        rows = task_rows(
            losses,
            shared,
            mixing.to(losses.dtype),
            nodes,
            batched=batched,
            retain_graph=retain_graph or len(own) > 0,
        )
        require(any(rows.used), "backward: losses must depend on parameters, found that they use none")
        gradients, values = rows.matrix, losses.detach()
        names = tuple(str(place) for place in range(len(shared)))
        aggregator.lay_out(Layout(names, rows.shapes))
        if scale is not None:
            gradients, values = (_precise(what) / scale for what in (gradients, values))
        direction = call(gradients, values)
        require(
            direction.vector.is_meta or bool(direction.vector.isfinite().all()),
            f"{type(aggregator).__name__}: the direction is not finite, though the gradients are that it was "
            "made of; see mtrl.testing.check_aggregator",
        )
        usable = direction.usable
        if usable is None:
            usable = gradient_norms(gradients).isfinite() & values.isfinite()
        found: Sequence[Tensor | None] = ()
        if own:
            weights = usable.to(losses.dtype)
            found = differentiate(losses, own, weights, nodes, retain_graph=retain_graph)
    overflowed = ~usable.any()
    if scale is not None:
        overflowed = overflowed | (~usable & ~values.isnan()).any()
    spoilt = torch.where(overflowed, torch.nan, 1.0)
    vector = direction.vector * (spoilt if scale is None else spoilt * scale)
    parts = rows.cut(vector)
    for part, parameter in zip(found, own, strict=True):
        if part is None:
            parts.append(torch.zeros_like(parameter))
        elif scale is None and not part.is_sparse:  # as in training, a task of its own stands still
            parts.append(torch.where(part.isfinite().all(), part, 0) * spoilt)
        else:
            parts.append(part * spoilt)
    accumulate([*shared, *own], parts, [*rows.used, *(part is not None for part in found)])
    return direction


def _learning(parameters: Iterable[Tensor], name: str) -> list[Tensor]:
    """The ``parameters`` that learn, each once."""
    require(
        not isinstance(parameters, Tensor),
        f"backward: {name} must be several tensors, found one; pass a list of it",
    )
    given = list(parameters)
    for one in given:
        require(
            isinstance(one, Tensor) and one.is_leaf,
            f"backward: {name} must be parameters, such as module.parameters(), found "
            f"{'a tensor computed from others' if isinstance(one, Tensor) else type(one).__name__}",
        )
    return list({id(one): one for one in given if one.requires_grad}.values())


def _check(losses: Tensor, aggregator: Aggregator) -> None:
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
    require(
        losses.grad_fn is not None,
        "backward: losses must depend on parameters; compute them from these, without no_grad",
    )


def _scale_of(losses: Tensor) -> Tensor | None:
    """The factor of a GradScaler by whose ``scale`` the losses were made, if they were.

    That is one float32 number without dimensions; a number of Python's is kept as float64.
    """
    node = losses.grad_fn
    if node is None or operation(node) != "Mul" or node.next_functions[1][0] is not None:
        return None
    other = node._saved_other  # type: ignore[attr-defined]
    fits = isinstance(other, Tensor) and other.ndim == 0 and other.dtype == torch.float32
    return other if fits else None


def _precise(values: Tensor) -> Tensor:
    return values.to(torch.promote_types(values.dtype, torch.float32))
