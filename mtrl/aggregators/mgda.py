"""Implements MGDA, multiple-gradient descent (Désidéri, 2012; Sener and Koltun, NeurIPS 2018)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators._linalg.interior_point import SimplexStep, min_over_simplex, simplex_step
from mtrl.aggregators.base import GramAggregator


def mgda_weights(gram: Tensor, step: SimplexStep = simplex_step) -> Tensor:
    """The weights w on the simplex that minimise wᵀ gram w: the shortest convex combination.

    A zero gradient is left out. Taken at its word the method would return it, and one finished task would
    stop all others.

    Args:
        gram: G Gᵀ, [K, K], float64.
        step: of the interior-point method, perhaps compiled.

    Returns:
        w [K]; uniform if every gradient is zero.
    """
    diagonal = gram.diagonal()
    scaled = gram / diagonal.mean().clamp(min=TINY)
    present = diagonal > 0  # [K]
    # A linear cost above every entry of the matrix keeps a zero gradient's weight at the rounding level.
    cost = torch.where(present, torch.zeros_like(diagonal), 1 + scaled.diagonal().max())
    w = min_over_simplex(scaled, cost, step=step)
    w = torch.where(present | ~present.any(), w, 0)
    return w / w.sum()


class MGDA(GramAggregator):
    """MGDA: the convex combination of least norm, which descends on every task, or zero if none does.

    Exact, by an interior-point method instead of the paper's Frank-Wolfe steps. On mini-batch
    gradients this is the stochastic multi-gradient method (SMG). K equal gradients g give g.
    """

    solver_step: SimplexStep

    def __init__(self, num_tasks: int) -> None:
        super().__init__(num_tasks)
        self.solver_step = simplex_step

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.min_norm(gram, shares, 0.0, True)
        return mgda_weights(gram, self.solver_step)
