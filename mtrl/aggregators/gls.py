"""Implements GLS, the geometric loss strategy (Chennupati et al., CVPR workshops 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels import loss_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import NormAggregator

SMALLEST = 1e-8  # loss whose inverse is taken


def gls_weights(losses: Tensor, shares: Tensor) -> Tensor:
    """The weights w in  ∇ Π L_i^(s_i) = Σ w_i ∇L_i,  that is, s_i/L_i times the geometric mean.

    Args:
        losses: L, [K], float64, positive.
        shares: s, [K].
    """
    return shares / losses * torch.where(shares > 0, shares * losses.log(), 0).sum().exp()


class GLS(NormAggregator):
    """GLS: the gradient of the geometric mean of the losses, which no loss's unit can influence.

    A loss that is not positive, as an actor's, counts by its size. K equal gradients g of equal losses give
    g.
    """

    needs = "losses"

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(shares):
            return loss_operators.gls(losses, shares)
        weights = gls_weights(losses.double().abs().clamp(min=SMALLEST), shares)
        return torch.where(shares > 0, weights, 0)
