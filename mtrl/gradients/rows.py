"""Forms the gradients of K losses of one graph, in a batched pass or one task after another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor
from torch.autograd.graph import Node

from mtrl.gradients.passes import COMPILED, differentiate


class Rows:
    """Holds one gradient in each row, filled in as they are computed.

    Args:
        count: R, the number of rows.
        parameters: whose gradients stand one after another.
        device: where.
    """

    def __init__(self, count: int, parameters: Sequence[Tensor], device: torch.device) -> None:
        # A complex number is two real ones.
        self.shapes = tuple(torch.view_as_real(p).shape if p.is_complex() else p.shape for p in parameters)
        dtype = reduce(torch.promote_types, (parameter.dtype.to_real() for parameter in parameters))
        self.parameters = parameters
        self.sizes = [parameter.numel() * (1 + parameter.is_complex()) for parameter in parameters]
        self.matrix = torch.empty(count, sum(self.sizes), dtype=dtype, device=device)  # [R, P]
        self.used = [False] * len(parameters)  # whether a loss depends on the parameter
        self.sparse = [False] * len(parameters)  # whether its gradients have the sparse layout

    def fill(self, rows: slice, parts: Sequence[Tensor | None]) -> None:
        """Set ``rows`` to the parameters' gradients, [rows, ...] each; None stands for zeros."""
        places = torch.split(self.matrix[rows], self.sizes, dim=1)
        for number, (place, part) in enumerate(zip(places, parts, strict=True)):
            if part is None:
                place.zero_()
                continue
            self.used[number] = True
            self.sparse[number] = part.is_sparse
            part = part.to_dense()
            part = torch.view_as_real(part) if part.is_complex() else part
            place.copy_(part.reshape(place.shape))

    def cut(self, vector: Tensor) -> list[Tensor]:
        """Cut ``vector`` [P] into gradients of the parameters' shapes, types and layouts."""
        parts = []
        for number, part in enumerate(torch.split(vector, self.sizes)):
            like = self.parameters[number]
            if like.is_complex():
                part = torch.view_as_complex(part.view(*like.shape, 2))
            part = part.view(like.shape).to(like.device, like.dtype)
            parts.append(part.to_sparse(1) if self.sparse[number] else part)
        return parts


def task_rows(
    losses: Tensor,
    parameters: Sequence[Tensor],
    mixing: Tensor,
    nodes: Sequence[Node],
    *,
    batched: bool | None,
    retain_graph: bool,
) -> Rows:
    """Compute the gradients of ``mixing`` [R, K] @ ``losses`` [K].

    The last row takes a plain pass, which frees the graph: a batched one must leave it, for the loop should
    it fail.

    Args:
        losses: with their graph.
        parameters: to differentiate by.
        mixing: a combination of the losses for each row.
        nodes: those of the graph.
        batched: True for a batched pass, False for a loop, None for a loop where batching fails.
        retain_graph: whether the graph is needed again.
    """
    rows, last = Rows(len(mixing), parameters, losses.device), len(mixing) - 1
    # Compiled code takes numbers, not batches of them, and would be compiled anew only to fail.
    fits = batched or (batched is None and all(node.name() != COMPILED for node in nodes))
    if not (fits and last and _fill_batched(rows, losses, parameters, mixing[:-1], nodes, batched)):
        for row in range(last):
            parts = differentiate(losses, parameters, mixing[row], nodes, retain_graph=True)
            rows.fill(slice(row, row + 1), parts)
    parts = differentiate(losses, parameters, mixing[last], nodes, retain_graph=retain_graph)
    rows.fill(slice(last, last + 1), parts)
    return rows


def _fill_batched(
    rows: Rows,
    losses: Tensor,
    parameters: Sequence[Tensor],
    mixing: Tensor,
    nodes: Sequence[Node],
    batched: bool | None,
) -> bool:
    """Fill all rows but the last in one pass, and say whether that could be done."""
    try:
        parts = differentiate(losses, parameters, mixing, nodes, retain_graph=True, batched=True)
    except Exception:  # every operation that cannot be batched has its own; an error of the graph comes again
        if batched:
            raise
        return False
    rows.fill(slice(0, len(mixing)), parts)
    return True
