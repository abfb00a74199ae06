"""Moves a handful of arrays from the host to the device in one copy, from memory that stays in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALIGNMENT = 16  # bytes, so that any type fits and kernels may read four numbers at a time


class Staging:
    """Holds arrays of fixed shapes one after another, on the host and on the device.

    On a CPU both are the same memory.

    Args:
        arrays: what the first transfer holds; later ones have the same shapes and types.
        device: where the tensors are wanted.

    Attributes:
        tensors: on the device, in the order of the arrays.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]], device: torch.device) -> None:
        self.form = form_of(arrays)
        starts, end = [], 0
        for array in arrays:
            starts.append(end)
            end += math.ceil(array.nbytes / ALIGNMENT) * ALIGNMENT
        on_cuda = device.type == "cuda"
        self._host = torch.empty(end, dtype=torch.uint8, pin_memory=on_cuda)
        self._device = torch.empty(end, dtype=torch.uint8, device=device) if on_cuda else self._host
        self._read = event() if on_cuda else None  # the last transfer has left the host's memory
        memory = self._host.numpy()
        places = [slice(start, start + array.nbytes) for start, array in zip(starts, arrays, strict=True)]
        pairs = list(zip(places, arrays, strict=True))
        self._arrays = [memory[place].view(array.dtype).reshape(array.shape) for place, array in pairs]
        types = [torch.from_numpy(np.empty(0, array.dtype)).dtype for array in arrays]
        self.tensors: list[Tensor] = [
            self._device[place].view(dtype).view(array.shape)
            for (place, array), dtype in zip(pairs, types, strict=True)
        ]

    def fill(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Write what the next transfer takes along, once the one before has left."""
        if self._read is not None:
            self._read.synchronize()
        for place, array in zip(self._arrays, arrays, strict=True):
            np.copyto(place, array)

    def transfer(self) -> None:
        """Queue the copy to the device."""
        if self._device is not self._host:
            self._device.copy_(self._host, non_blocking=True)

    def queued(self) -> None:
        """Note that all transfers of what was filled in have been queued."""
        if self._read is not None:
            self._read.record()


def event() -> torch.cuda.Event:
    """Make a mark in a stream, for the host to wait for."""
    return torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch leaves it without types


def form_of(arrays: Sequence[NDArray[Any]]) -> list[tuple[tuple[int, ...], Any]]:
    """The shapes and types of arrays."""
    return [(array.shape, array.dtype) for array in arrays]
