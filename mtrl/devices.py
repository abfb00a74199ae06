"""Finds the device that a user names, describes it, and moves data and generator states to it."""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mtrl.errors import UsageError, require
from mtrl.machine import available_memory


def choose_device(name: str) -> torch.device:
    """Return the device of a name: ``auto`` is CUDA where there is one, else the CPU; others are PyTorch's.

    Raises:
        UsageError: for an unknown name, or CUDA where there is none.
    """
    text = isinstance(name, str)
    require(text, f"device must be auto, cpu, cuda or cuda:N, found {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device must be auto, cpu, cuda or cuda:N, found {name!r}") from error
    require(device.type in ("cpu", "cuda"), f"device must be auto, cpu, cuda or cuda:N, found {name!r}")
    if device.type == "cuda":
        count = torch.cuda.device_count()
        require(
            (device.index or 0) < count,
            f"device={name} asks for a GPU that is not there: PyTorch finds {count}; use device=auto or cpu",
        )
    return device


def current(device: torch.device) -> AbstractContextManager[object]:
    """Make ``device`` the current one of its kind: streams, graphs and kernels go there."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def describe_device(device: torch.device) -> str:
    """Return the accelerator's name, or the processor's architecture."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.machine()})"


def from_host(values: Tensor, device: torch.device) -> Tensor:
    """Copy ``values`` to ``device`` without holding up the host."""
    if device.type == "cuda" and not values.is_cuda:
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def total_memory(device: torch.device) -> int:
    """Return the bytes of memory of the device; for a CPU those that this process may fill."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return available_memory()


def global_rng_state(device: torch.device) -> Tensor:
    """Return the state of PyTorch's own generator on ``device``, from which aggregators draw."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_global_rng_state(device: torch.device, state: Tensor) -> None:
    """Set the state of PyTorch's own generator on ``device``."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
