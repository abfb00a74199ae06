"""Implements Nash-MTL, multi-task learning as a bargaining game (Navon et al., ICML 2022)."""

from __future__ import annotations

from torch import Tensor

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators.base import GramAggregator
from mtrl.aggregators.fairgrad import alpha_fair_weights, sum_to_one


def nash_mtl_weights(gram: Tensor) -> Tensor:
    """Solve  gram α = 1/α,  α > 0  (Claim 3.2 and equation 2), for gram divided by its mean diagonal.

    By a Newton method to the solution; the paper linearises a sequence of convex problems and stops early.

    Args:
        gram: G Gᵀ, [K, K], float64.
    """
    return alpha_fair_weights(gram, 1.0)


class NashMTL(GramAggregator):
    """Nash-MTL: the bargaining solution, which no task's scale can influence.

    The paper's direction has the same length whatever the gradients' (√K; its code then clips to 1);
    these weights are divided by their sum, so K equal gradients g give g.
    """

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.alpha_fair(gram, shares, 1.0)
        return sum_to_one(nash_mtl_weights(gram))
