"""How critics state a value: as a number here; an agent takes any object with these three members."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Value(Protocol):
    """The meaning of the outputs of twin critics, [2, B, outputs]."""

    outputs: int

    def expectation(self, outputs: Tensor) -> Tensor:
        """The values of both critics, [2, B]."""

    def pessimistic(self, outputs: Tensor) -> Tensor:
        """The value that targets and actors trust, [B]."""

    def error(self, outputs: Tensor, target: Tensor) -> Tensor:
        """The loss of each sample against targets [B], [2, B]."""


class ScalarValue:
    """One number, learnt by squared errors; the smaller of the twins is trusted (Fujimoto et al., 2018)."""

    outputs = 1

    def expectation(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(-1)

    def pessimistic(self, outputs: Tensor) -> Tensor:
        return self.expectation(outputs).amin(0)

    def error(self, outputs: Tensor, target: Tensor) -> Tensor:
        return (self.expectation(outputs) - target).square()
