"""Decides where kernels run, and launches them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from torch import Tensor

MAX_TASKS = 64  # one program's registers hold a matrix of this size
# Triton comes with PyTorch's CUDA build, except on Windows. On meta, where only shapes are asked for and
# operations are counted, a GPU is meant.
DEVICES = frozenset({"cuda", "meta"} if find_spec("triton") else {"meta"})


def has_kernel(tensor: Tensor) -> bool:
    """Say whether kernels take ``tensor`` [K, ...]; for two tasks closed forms are as short."""
    return 2 < len(tensor) <= MAX_TASKS and tensor.device.type in DEVICES


def padded(num: int) -> int:
    """The power of two that holds ``num`` tasks; 16 at least, which fills a warp."""
    return max(16, 1 << (num - 1).bit_length())


def warps(size: int) -> int:
    """How many warps share a matrix of ``size`` rows: one needs no barriers, more have more registers."""
    return {16: 1, 32: 4}.get(size, 8)


def launch(kernel: Any, *arguments: Tensor, **constants: Any) -> None:
    """Run ``kernel`` as one program, for as many tasks as its first argument [K, ...] has.

    What the kernel writes must be contiguous.
    """
    num = len(arguments[0])
    size = padded(num)
    pointers = (argument.contiguous() for argument in arguments)
    kernel[(1,)](*pointers, K=num, N=size, num_warps=warps(size), **constants)
