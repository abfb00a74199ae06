"""Checks what a method returned, so that a mistake is named with the class that made it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtrl.errors import UsageError
from mtrl.types import Direction


def checked_weights(owner: object, weights: Any, shares: Tensor) -> Tensor:
    """Return the ``weights`` that ``owner`` chose; raise a UsageError unless there is one for each share."""
    return _checked(owner, "weights must be [K]", weights, shares.shape, shares.device)


def checked_direction(owner: object, direction: Any, gradients: Tensor) -> Direction:
    """Return the ``direction`` that ``owner`` found; raise a UsageError unless it is one of ``gradients``."""
    tasks, size = gradients.shape
    name, device = type(owner).__name__, gradients.device
    if not isinstance(direction, Direction):
        raise UsageError(
            f"{name}: aggregate must return an mtrl.types.Direction, found {type(direction).__name__}; "
            "return Direction(vector [P], weights [K] or None, metrics)"
        )
    vector, weights, metrics, _ = direction
    _checked(owner, "the vector must be [P]", vector, (size,), device)
    if vector.dtype != gradients.dtype:
        raise UsageError(
            f"{name}: the vector must have the gradients' type {gradients.dtype}, found {vector.dtype}; "
            "return vector.to(gradients.dtype)"
        )
    if weights is not None:
        _checked(owner, "weights must be [K]", weights, (tasks,), device)
    for metric, value in metrics.items():
        if not isinstance(value, Tensor) or value.shape not in ((), (tasks,)):
            found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UsageError(
                f"{name}: metric {metric!r} must be a tensor of one number or [K], found {found}"
            )
    return direction


def _checked(owner: object, rule: str, value: Any, shape: tuple[int, ...], device: torch.device) -> Tensor:
    if not isinstance(value, Tensor):
        problem = f"a tensor, found {type(value).__name__}; stay in PyTorch, all else waits for the device"
        raise UsageError(f"{type(owner).__name__}: {rule}, {problem}")
    if value.shape != shape:
        raise UsageError(f"{type(owner).__name__}: {rule} = {list(shape)}, found {list(value.shape)}")
    if value.device != device:
        problem = f"on {device}, found {value.device}; make tensors on the gradients' device"
        raise UsageError(f"{type(owner).__name__}: {rule}, {problem}")
    return value
