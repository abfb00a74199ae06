"""Says which aggregators ask before the backward pass for the gradients that they need."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

from mtrl.types import Proposal


@runtime_checkable
class Proposing(Protocol):
    """An aggregator that needs fewer than K gradients; its call takes its ``proposal`` as third argument."""

    def propose(self, device: torch.device) -> Proposal:
        """Say which gradients the next call needs."""
