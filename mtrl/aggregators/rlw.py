"""Implements RLW, random loss weighting (Lin et al., TMLR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators.base import NormAggregator


class RLW(NormAggregator):
    """RLW: softmax of K standard normal draws, drawn at each step; a baseline that a method should beat.

    K equal gradients g give g.
    """

    needs = "losses"

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        drawn = shares * torch.randn_like(shares).exp()
        return drawn / drawn.sum().clamp(min=torch.finfo(torch.float64).tiny)
