"""Per-task gradients for about the arithmetic of one backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.func import grad_and_value, vmap

from mtrl.types import Stats

TaskLoss = Callable[[Tensor, Any], tuple[Tensor, Stats]]


def per_task_gradients(task_loss: TaskLoss, vector: Tensor, rows: Any) -> tuple[Tensor, Tensor, Stats]:
    """Gradients of K losses in the same parameters, each loss seeing only its own task's rows.

    The batch is sliced by task *before* the forward pass, so one batched backward pass gives every
    gradient; K passes over the joint batch would cost K times as much.

    Args:
        task_loss: ``(vector [P], rows of one task) -> (loss, stats)``, both free of the K dimension.
        vector: the shared parameters, [P].
        rows: any pytree of tensors [K, ...].

    Returns:
        gradients [K, P], losses [K], stats [K, ...].
    """
    batched = vmap(grad_and_value(task_loss, has_aux=True), in_dims=(None, 0))
    gradients, (losses, stats) = batched(vector, rows)
    return gradients, losses, stats
