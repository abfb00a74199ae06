"""Reads values from the outputs of twin critics: a number, or a distribution over numbers."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from mtrl.errors import require
from mtrl.validation import require_integer, require_number

MAX_VALUE = 1e30  # of a value in the support; its differences must fit into float32


class Twin(nn.Module):
    """Computes two critics of the same shape and different initial weights."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return the outputs of both, [2, B, outputs]."""
        return torch.stack([self.first(*inputs), self.second(*inputs)])


class Value(Protocol):
    """Interprets the outputs of twin critics, [2, B, outputs]."""

    outputs: int

    def value_for_actor(self, outputs: Tensor) -> Tensor:
        """Return the value that the actor climbs, [B]."""

    def target(self, outputs: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Make the critics' target, [B, ...], where ``outputs`` are those of the next step.

        That is shift + scale · value, with ``shift`` [B] and ``scale`` [B].
        """

    def errors(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of every sample against a target, and its value, [2, B] each."""


class ScalarValue:
    """Reads one number, learnt by squared errors; the smaller of the twins counts (Fujimoto et al., 2018)."""

    outputs = 1

    def value_for_actor(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(-1).amin(0)

    def target(self, outputs: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return shift + scale * outputs.squeeze(-1).amin(0)

    def errors(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        values = outputs.squeeze(-1)  # [2, B]
        return (values - target).square(), values


class CategoricalValue:
    """Reads probabilities of fixed values, learnt by cross-entropy (Bellemare et al., 2017, algorithm 1).

    The mean of the twins' distributions counts, as in BRC (Nauman et al., 2025). Returns, with the
    entropy's part, should lie in the support: scale rewards accordingly; what lies outside is clipped.
    On CUDA the shares of an atom are added in no fixed order: runs with the same seed agree up to rounding.

    Args:
        low: smallest value.
        high: largest value.
        atoms: how many values, evenly spaced.
    """

    def __init__(self, *, low: float, high: float, atoms: int) -> None:
        require_number("value.low", low, low=-MAX_VALUE, high=MAX_VALUE)
        require_number("value.high", high, low=-MAX_VALUE, high=MAX_VALUE)
        require(low < high, f"value.low must be below value.high, found {low} and {high}")
        require_integer("value.atoms", atoms, 2, 10_000)
        self.low, self.high, self.outputs = low, high, atoms

    def value_for_actor(self, outputs: Tensor) -> Tensor:
        return self._expectation(outputs).mean(0)

    def target(self, outputs: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Split the probabilities of the shifted and scaled values between their neighbours, [B, atoms]."""
        probabilities = outputs.softmax(-1).mean(0)  # [B, atoms]
        moved = shift[:, None] + scale[:, None] * self._support(outputs)  # [B, atoms]
        last = self.outputs - 1
        place = (moved.clamp(self.low, self.high) - self.low) * (last / (self.high - self.low))
        below = place.floor().clamp(max=last - 1)
        share = place - below  # of the upper neighbour
        index = below.nan_to_num(0).long()  # a value that is not finite must not become an address
        nothing = torch.zeros_like(probabilities)
        return nothing.scatter_add(-1, index, probabilities * (1 - share)).scatter_add(
            -1, index + 1, probabilities * share
        )

    def errors(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        return -(target * outputs.log_softmax(-1)).sum(-1), self._expectation(outputs)

    def _expectation(self, outputs: Tensor) -> Tensor:
        return outputs.softmax(-1) @ self._support(outputs)

    def _support(self, like: Tensor) -> Tensor:
        return torch.linspace(self.low, self.high, self.outputs, dtype=like.dtype, device=like.device)
