"""Decides where kernels run, and launches them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor

MAX_TASKS = 64  # one program's registers hold a matrix of this size
TRITON = find_spec("triton") is not None  # it comes with PyTorch's CUDA build, except on Windows


def has_kernel(gram: Tensor) -> bool:
    """Say whether a kernel takes ``gram`` [K, K]; on meta always, where only shapes are asked for."""
    kind = gram.device.type
    return 2 < len(gram) <= MAX_TASKS and (kind == "meta" or (kind == "cuda" and TRITON))


def padded(num: int) -> int:
    """The power of two that holds ``num`` tasks; 16 at least, which fills a warp."""
    return max(16, 1 << (num - 1).bit_length())


def warps(size: int) -> int:
    """How many warps share a matrix of ``size`` rows: one needs no barriers, more have more registers."""
    return {16: 1, 32: 4}.get(size, 8)


def launch(kernel: Any, num: int, *arguments: Tensor, **constants: Any) -> None:
    """Run ``kernel`` for ``num`` tasks as one program."""
    size = padded(num)
    pointers = (argument.contiguous() for argument in arguments)
    kernel[(1,)](*pointers, K=num, N=size, num_warps=warps(size), **constants)
