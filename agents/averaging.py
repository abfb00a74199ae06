"""Moves networks towards others: targets after critics, and an average after an actor."""

from __future__ import annotations

from typing import Any

from torch import nn

AVERAGED = "averaged_actor"  # its place in an agent's state


def follow(average: nn.Module, source: nn.Module, share: float) -> None:
    """Move the parameters of ``average`` by ``share`` of the way to those of ``source``, in place."""
    for own, other in zip(average.parameters(), source.parameters(), strict=True):
        own.lerp_(other, share)  # two tensors: nothing for a foreach kernel to gain


def acting_network(agent: dict[str, Any]) -> dict[str, Any]:
    """Pick of an agent's state that of the network that acts without noise."""
    found: dict[str, Any] = agent[AVERAGED] if AVERAGED in agent else agent["actor"]["network"]
    return found
