"""Takes one pass back through a graph that others will take again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch._functorch.config as functorch_config
from torch import Tensor
from torch.autograd.graph import Node

COMPILED = "CompiledFunctionBackward"  # what a compiled module is in the graph


def differentiate(
    losses: Tensor,
    parameters: Sequence[Tensor],
    weights: Tensor,
    nodes: Sequence[Node],
    *,
    retain_graph: bool,
    batched: bool = False,
) -> Sequence[Tensor | None]:
    """Compute the gradients of ``weights`` [K] @ ``losses`` [K], or of each row of [R, K] if ``batched``.

    ``nodes`` are those of the graph. None stands for a parameter on which the losses do not depend.
    """

    def taken() -> Sequence[Tensor | None]:
        with _hooks_aside(parameters):
            found: Sequence[Tensor | None] = torch.autograd.grad(
                losses,
                parameters,
                weights,
                retain_graph=retain_graph,
                allow_unused=True,
                is_grads_batched=batched,
            )
        return found

    try:
        return taken()
    except RuntimeError as error:
        if not (retain_graph and "donated buffer" in str(error)):
            raise
    with _kept_buffers(nodes):
        return [None if part is None else part.clone() for part in taken()]


@contextmanager
def _hooks_aside(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Leave the parameters' hooks for the aggregated gradient, as those of one loss see the whole."""
    hooks = [parameter._backward_hooks for parameter in parameters if parameter._backward_hooks]
    aside = [dict(mine) for mine in hooks]
    for mine in hooks:
        mine.clear()
    try:
        yield
    finally:
        for mine, kept in zip(hooks, aside, strict=True):
            mine.update(kept)


@contextmanager
def _kept_buffers(nodes: Sequence[Node]) -> Iterator[None]:
    """Let compiled code whose first backward pass was a module's last write into what it saved.

    It was compiled to use these buffers for something else, once, and refuses a second pass. They are put
    back instead. In threads of the engine the setting would not hold.
    """
    saved = [
        tensor
        for node in nodes
        if node.name() == COMPILED
        for tensor in node.saved_tensors  # type: ignore[attr-defined]
        if not tensor.requires_grad
    ]
    copies = [tensor.clone() for tensor in saved]
    with functorch_config.patch(donated_buffer=False), torch.autograd.set_multithreading_enabled(False):
        yield
    for tensor, copy in zip(saved, copies, strict=True):
        tensor.data.copy_(copy)  # not an operation that autograd would object to
