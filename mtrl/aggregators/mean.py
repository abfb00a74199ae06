"""The plain average, the baseline of every comparison."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators.base import Aggregator
from mtrl.types import Direction


class Mean(Aggregator):
    """Uniform weights 1/K: gradient descent on the average loss.

    K equal gradients g give g.
    """

    needs = "losses"

    def forward(self, gradients: Tensor, losses: Tensor) -> Direction:
        self.check(gradients, losses)
        weights = torch.full_like(losses, 1 / self.num_tasks)  # [K]
        return Direction(gradients.mean(0), weights, {})
