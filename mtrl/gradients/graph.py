"""Reads the graph of autograd behind K losses, and keeps what one task lacks out of another's gradient."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.autograd.graph import Node

from mtrl.errors import require

# Operations that change each number by itself.
ELEMENTWISE = re.compile(
    "Abs|Acos|Acosh|Addcdiv|Addcmul|Asin|Asinh|Atan|Atan2|Atanh|BinaryCrossEntropy(WithLogits)?|"
    "Clamp(Max|Min)?|Cos|Cosh|Div|Elu|Erf|Erfc|Erfinv|Exp|Exp2|Expm1|Gelu|Hardsigmoid|Hardswish|Hardtanh|"
    "HuberLoss|Hypot|LeakyRelu|Lerp|Lgamma|Log|Log10|Log1p|Log2|LogSigmoid|Logaddexp|Logit|MaskedFill|"
    "Maximum|Mean|Minimum|Mish|MseLoss|Mul|NanToNum|Pow|Reciprocal|Relu|Rsqrt|Sgn|Sigmoid|Silu|Sin|Sinh|"
    "SmoothL1Loss|Softplus|Sqrt|Tan|Tanh|Where|Xlogy"
)
# Operations whose derivatives multiply by nothing that may be infinite: they move, repeat or add up numbers.
MOVING = re.compile(
    "Add|Alias|AsStrided|Cat|Clone|CopySlices|Diagonal|Expand|Flatten|Gather|Index|IndexSelect|MaskedSelect|"
    "Nansum|Neg|Permute|Repeat|ReshapeAlias|Rsub|Select|Slice|Split(WithSizes)?|Squeeze|Stack|Sub|Sum|T|"
    "ToCopy|Transpose|Unbind|UnsafeView|Unsqueeze|View"
)


def operation(node: Node) -> str:
    """What ``node`` is the backward of, such as ``Mul``."""
    return re.sub(r"Backward\d*$", "", node.name())


def nodes_of(losses: Tensor) -> list[Node]:
    """All nodes behind ``losses``, each before those that it passes gradients to."""
    found: list[Node] = []
    seen: set[Node] = set()
    path: list[tuple[Node, Iterator[Node]]] = []
    assert losses.grad_fn is not None

    def enter(node: Node) -> None:
        seen.add(node)
        path.append((node, iter([after for after, _ in node.next_functions if after is not None])))

    enter(losses.grad_fn)
    while path:
        node, rest = path[-1]
        after = next((other for other in rest if other not in seen), None)
        if after is not None:
            enter(after)
        else:
            found.append(node)
            path.pop()
    return found[::-1]


def require_whole(nodes: Sequence[Node]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` for what can be passed through by no other way than its own."""
    for node in nodes:
        require(
            operation(node) != "CheckpointFunction",
            "backward: losses must not pass through a reentrant checkpoint, which hides its parameters; use "
            "torch.utils.checkpoint.checkpoint(..., use_reentrant=False)",
        )
        require(
            operation(node) != "_DDPSink" or not node.ddp_weakref().static_graph,  # type: ignore[attr-defined]
            "backward: losses must not come from DistributedDataParallel(static_graph=True), which counts "
            "passes; leave it out",
        )


@contextmanager
def zeros_stay_zeros(nodes: Sequence[Node]) -> Iterator[None]:
    """Let a gradient of zero stay zero through derivatives that are not finite.

    The gradient of one task is zero at the loss and the head of every other. If one of these is not finite,
    zero times NaN would spoil all tasks. A node's derivative is linear: if all that enters it is zero, so is
    all that leaves it; and one that changes each number by itself keeps each zero.

    Args:
        nodes: those of the graph, in the order of :func:`nodes_of`.
    """
    names = {node: operation(node) for node in nodes}
    region = _loss_region(nodes, names)
    each = [node for node in nodes if node in region and ELEMENTWISE.fullmatch(names[node])]
    whole = [
        node
        for node in _of_some_tasks(nodes, names, region)
        if node.next_functions and not MOVING.fullmatch(names[node])
    ]
    handles = [node.register_hook(_keep_each_zero) for node in each]
    handles += [node.register_hook(_keep_all_zeros) for node in whole]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _loss_region(nodes: Sequence[Node], names: Mapping[Node, str]) -> set[Node]:
    """The nodes between the losses and the first operations that mix numbers, such as a linear layer's."""
    region: set[Node] = set(nodes[:1])
    for node in nodes:
        if node in region and (ELEMENTWISE.fullmatch(names[node]) or MOVING.fullmatch(names[node])):
            region |= {after for after, _ in node.next_functions if after is not None}
    return region


def _of_some_tasks(nodes: Sequence[Node], names: Mapping[Node, str], region: set[Node]) -> list[Node]:
    """The nodes that are not behind every branch of the losses."""
    branches = dict.fromkeys(nodes, 0)  # a bit for each branch that a node is behind
    every = 0
    for node in nodes:
        after = [other for other, _ in node.next_functions if other is not None]
        # Within one task's branch there may be branches that end in its own head.
        parts_tasks = branches[node] == 0 or names[node] in ("Stack", "Cat")
        for other in after:
            branches[other] |= branches[node]
            if node in region and parts_tasks and len(after) > 1:
                branches[other] |= every + 1
                every = 2 * every + 1
    return [node for node in nodes if branches[node] != every]


def _keep_each_zero(
    gradients: Sequence[Tensor | None], entering: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...] | None:
    (entered,) = entering
    if entered is None:
        return None
    return tuple(
        torch.where(entered == 0, 0, gradient)
        if gradient is not None and gradient.shape == entered.shape
        else gradient
        for gradient in gradients
    )


def _keep_all_zeros(
    gradients: Sequence[Tensor | None], entering: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...] | None:
    given = [(entered == 0).all() for entered in entering if entered is not None and not entered.is_sparse]
    if not given or len(given) < sum(entered is not None for entered in entering):
        return None
    zero = torch.stack(given).all()
    return tuple(
        gradient if gradient is None or gradient.is_sparse else torch.where(zero, 0, gradient)
        for gradient in gradients
    )
