"""Decides where kernels run, and launches them."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import torch
from torch import Tensor

from mtrl.compiler_cache import find_compiler_caches

MAX_TASKS = 64  # one program's registers hold a matrix of this size
DEVICES = frozenset({"cuda", "meta"})  # on meta, where only shapes and operations count, a GPU is meant


def has_kernel(tensor: Tensor) -> bool:
    """Say whether kernels take ``tensor`` [K, ...]; for two tasks closed forms are as short."""
    kind = tensor.device.type
    return 2 < len(tensor) <= MAX_TASKS and kind in DEVICES and (kind != "cuda" or triton_works())


def triton_works() -> bool:
    """Say whether this machine compiles kernels; if not, say so once, and PyTorch's own operations do."""
    return _probed()


# As in mtrl.products: ``torch.compiler.assume_constant_result`` would import the compiler.
vars(triton_works)["_dynamo_marked_constant"] = True


@functools.cache
def _probed() -> bool:
    try:
        find_compiler_caches()
        from mtrl.aggregators._kernels.probe import probe

        probe()
    except Exception as error:  # a missing package or C compiler, an old driver: whatever the reason
        problem = str(error).strip().splitlines() or [type(error).__name__]
        warnings.warn(
            "Triton compiles no kernels here, so aggregators launch many small operations instead of one: "
            f"{problem[-1]}",
            stacklevel=2,
        )
        return False
    return True


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
    launch_many(1, kernel, *arguments, **constants)


def launch_many(programs: int, kernel: Any, *arguments: Tensor, **constants: Any) -> None:
    """Run ``kernel`` as so many programs, otherwise as :func:`launch` does."""
    num = len(arguments[0])
    size = padded(num)
    pointers = (argument.contiguous() for argument in arguments)
    with torch.cuda.device_of(arguments[0]):  # a launch goes to the current device
        kernel[(programs,)](*pointers, K=num, N=size, num_warps=warps(size), **constants)
