"""Adds finished gradients to ``.grad``, as the end of a backward pass does."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def accumulate(parameters: Sequence[Tensor], gradients: Sequence[Tensor], used: Sequence[bool]) -> None:
    """Add each of ``gradients`` to its parameter's ``.grad``.

    Autograd itself does: hooks run, and what watches backward passes, such as DistributedDataParallel, sees
    one. It must not be told of a parameter that no loss used; ``used`` says which are.
    """
    triples = list(zip(parameters, gradients, used, strict=True))
    seen = [(parameter, gradient) for parameter, gradient, was_used in triples if was_used]
    torch.autograd.backward([leaf for leaf, _ in seen], [gradient for _, gradient in seen])
    for parameter, gradient, was_used in triples:
        if not was_used:
            parameter.grad = gradient.clone() if parameter.grad is None else parameter.grad + gradient
