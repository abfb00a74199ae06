"""Says how long a method is for a compiler, which unrolls what a solver repeats."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mtrl.aggregators.base import Aggregator

SHORT = 100  # operations, which compile in seconds; a solver's thousand take minutes


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves it without types
    """Counts the operations inside it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def is_short(aggregator: Aggregator, device: torch.device) -> bool:
    """Whether ``aggregator`` can be part of a program that is compiled, judged by calls of copies of it.

    The first copy has tensors without contents, so that one that looks at them is found.
    """
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            for place in (torch.device("meta"), device):
                trial = copy.deepcopy(aggregator).to(place)
                gradients = torch.ones(aggregator.num_tasks, 1, device=place)
                with Operations() as operations:
                    trial(gradients, gradients[:, 0])
    except Exception:  # whatever it is, the first update will say it
        return False
    return operations.count <= SHORT
