"""Tries whether this machine compiles and runs a kernel."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def probe_kernel(pointer):
    """Write one number."""
    tl.store(pointer, 1)


def probe() -> None:
    """Compile and launch the smallest kernel, or raise."""
    probe_kernel[(1,)](torch.empty(1, dtype=torch.int32, device="cuda"))
