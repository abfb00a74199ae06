"""Averages the gradients, the baseline of every comparison."""

from __future__ import annotations

from torch import Tensor

from mtrl.aggregators.base import NormAggregator


class Mean(NormAggregator):
    """Uniform weights 1/K: gradient descent on the average loss.

    K equal gradients g give g.
    """

    needs = "losses"

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        return shares
