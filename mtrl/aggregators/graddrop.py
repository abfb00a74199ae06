"""Implements GradDrop, gradient sign dropout (Chen et al., NeurIPS 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.matrix import finite_blocks
from mtrl.types import Direction


def graddrop(gradients: Tensor, shares: Tensor, uniform: Tensor) -> Tensor:
    """Algorithm 1 without leak: per coordinate, only the gradients of one sign, chosen at random.

    The positive ones with the probability P = ½(1 + Σg/Σ|g|) of equation 1, else the negative ones.

    Args:
        gradients: [K, P]; entries that are not finite count as zero.
        shares: the mean gradient is sharesᵀ gradients, [K].
        uniform: one draw from [0, 1) for each coordinate, [P].
    """
    blocks = [(shares @ block, shares @ block.clamp_(min=0)) for block in finite_blocks(gradients)]
    total, positive = (torch.cat(parts) for parts in zip(*blocks, strict=True))  # [P]
    negative = total - positive
    size = positive - negative
    # total = positive + negative, so ½(1 + total/size) is positive/size; a coordinate of zeros stays zero.
    return torch.where(uniform * size < positive, positive, negative)


class GradDrop(Aggregator):
    """GradDrop: where gradients disagree in sign, follow one sign at random, by its share of the total.

    The paper sums the surviving gradients; this divides by K, so K equal gradients g give g.
    """

    masks_itself = True

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        vector = graddrop(gradients, shares.to(gradients.dtype), torch.rand_like(gradients[0]))
        return Direction(vector, None, {})
