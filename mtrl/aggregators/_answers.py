"""Checks what a method returned, so that a mistake is named with the class that made it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mtrl.errors import UsageError
from mtrl.types import Direction


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
    if not _is_vector(vector, size, device):
        raise unusable(owner, "the vector must be [P]", vector, size, device)
    if vector.dtype != gradients.dtype:
        raise UsageError(
            f"{name}: the vector must have the gradients' type {gradients.dtype}, found {vector.dtype}; "
            "return vector.to(gradients.dtype)"
        )
    if weights is not None and not _is_vector(weights, tasks, device):
        raise unusable(owner, "weights must be [K]", weights, tasks, device)
    for metric, value in metrics.items():
        if not isinstance(value, Tensor) or value.shape not in ((), (tasks,)):
            found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise UsageError(
                f"{name}: metric {metric!r} must be a tensor of one number or [K], found {found}"
            )
    return direction


def unusable(owner: object, rule: str, value: Any, size: int, device: torch.device) -> UsageError:
    """The error that says why ``value`` from ``owner`` is not what ``rule`` asks for."""
    if not isinstance(value, Tensor):
        found = f", a tensor, found {type(value).__name__}; stay in PyTorch, all else waits for the device"
    elif value.shape != (size,):
        found = f" = [{size}], found {list(value.shape)}"
    else:
        found = f", on {device}, found {value.device}; make tensors on the gradients' device"
    return UsageError(f"{type(owner).__name__}: {rule}{found}")


def _is_vector(value: Any, size: int, device: torch.device) -> bool:
    return isinstance(value, Tensor) and value.shape == (size,) and value.device == device
