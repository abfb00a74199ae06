"""Implements SDMGrad, direction-oriented multi-objective descent (Xiao, Ban and Ji, NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators._linalg.interior_point import SimplexStep, min_over_simplex, simplex_step
from mtrl.aggregators.base import GramAggregator


def sdmgrad_weights(gram: Tensor, pull: float, shares: Tensor, step: SimplexStep = simplex_step) -> Tensor:
    """(w + pull·shares)/(1 + pull) with w on the simplex minimising ‖Gᵀ(w + pull·shares)‖².

    Args:
        gram: G Gᵀ, [K, K], float64.
        pull: the paper's λ; 0 is MGDA, and towards infinity the direction is the mean.
        shares: the mean gradient is Gᵀ shares, [K].
        step: of the interior-point method, perhaps compiled.
    """
    diagonal = gram.diagonal()
    scaled = gram / diagonal.mean().clamp(min=TINY)
    linear = pull * (scaled @ shares)
    # A zero gradient is left out, as in MGDA.
    cost = torch.where(diagonal > 0, linear, 1 + scaled.diagonal().max() + linear.abs().max())
    w = min_over_simplex(scaled, cost, step=step)
    w = torch.where(diagonal > 0, w, 0)
    return (w / w.sum().clamp(min=TINY) + pull * shares) / (1 + pull)


class SDMGrad(GramAggregator):
    """SDMGrad: MGDA with the mean gradient as a regulariser (equation 5).

    The inner problem is solved exactly, on one batch; the paper takes 20 projected steps on products of
    independent batches, which makes those steps unbiased. K equal gradients g give g.

    Args:
        num_tasks: K.
        pull: how strongly the direction is drawn to the mean, the paper's λ.
    """

    solver_step: SimplexStep

    def __init__(self, num_tasks: int, *, pull: float = 0.3) -> None:
        super().__init__(num_tasks)
        self.pull = require_number(self, "pull", pull, low=0)
        self.solver_step = simplex_step

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.min_norm(gram, shares, self.pull, False)
        return sdmgrad_weights(gram, self.pull, shares, self.solver_step)
