"""Keeps the precision of what an aggregator remembers, and gives it the size that a checkpoint brings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def keep_precision(held: Tensor, applied: Tensor) -> Tensor:
    """Take the place of ``applied`` but not its precision."""
    if held.dtype == applied.dtype or not held.is_floating_point():
        return applied
    return held.to(applied.device)


def make_room(aggregator: nn.Module, state: Mapping[str, Any], num_tasks: int) -> None:
    """Give each buffer that no call has allocated yet the size of what is to be loaded into it."""
    devices = [buffer.device for buffer in aggregator.buffers()]
    for prefix, module in aggregator.named_modules():
        for name, held in list(module._buffers.items()):
            saved = state.get(f"{prefix}.{name}" if prefix else name)
            if isinstance(saved, Tensor) and _awaits(held, saved.shape, num_tasks):
                dtype = torch.promote_types(saved.dtype, torch.float32) if saved.is_floating_point() else None
                device = devices[0] if devices else saved.device
                setattr(module, name, torch.empty_like(saved, dtype=dtype, device=device))


def _awaits(held: Tensor | None, size: torch.Size, num_tasks: int) -> bool:
    """Whether a buffer stands for one that the first gradients give this ``size``."""
    if held is not None and 0 in held.shape and held.ndim == len(size):
        return all(a in (0, b) for a, b in zip(held.shape, size, strict=True))
    rows = len(size) == 2 and size[0] == num_tasks
    return rows and (held is None or held.numel() == 0 or held.shape in ((), (1,), (num_tasks, 1)))
