"""Applies GradOPS's trade-off weights to gradients that still conflict (Zhu et al., 2025, section 4.5)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_choice, require_number
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms
from mtrl.aggregators.base import GramAggregator
from mtrl.aggregators.pcgrad import pcgrad_coefficients, random_orders

Gradients = Literal["raw", "pcgrad"]


def dynamic_weights(gram: Tensor, coefficients: Tensor, alpha: float, shares: Tensor) -> Tensor:
    """Weights [K] of  Σ w_i g_i'  with w_i ∝ exp(R_i)^α  and g_i' = Σ_j C_ij g_j.

    R_i = ⟨Σ_j g_j', g_i⟩/‖g_i‖ (equation 3) can be negative here, hence the exponential; it is not
    scale-free: with long gradients one task takes all, with short ones the weights are uniform.
    """
    norms = gram.diagonal().clamp(min=0).sqrt()
    along = inverse_norms(norms) * (gram @ ((shares > 0).sum() * shares @ coefficients))  # R_i, [K]
    # A zero gradient has R = 0: with α < 0 one finished task would take all weight from the others.
    present = shares * (norms > 0)
    trade = present * torch.where(present > 0, alpha * along, -1e30).softmax(0)
    return present.sum() / trade.sum().clamp(min=TINY) * trade @ coefficients


class DynamicWeighting(GramAggregator):
    """DW: re-weights raw or PCGrad gradients by how far the joint direction moves along each.

    The paper sums; this is a mean, so K equal gradients g give g. The weights depend on the gradients'
    scale, as in the paper.

    Args:
        num_tasks: K.
        alpha: the trade-off; above zero favours the tasks that dominate, below zero the others.
        gradients: ``"raw"`` or ``"pcgrad"``.
    """

    def __init__(self, num_tasks: int, *, alpha: float = -1.0, gradients: Gradients = "raw") -> None:
        super().__init__(num_tasks)
        self.alpha = require_number(self, "alpha", alpha)
        require_choice(self, "gradients", gradients, get_args(Gradients))
        self.gradients = gradients

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            project = self.gradients == "pcgrad"
            uniform = torch.rand_like(gram) if project else gram  # not read
            return operators.dynamic(gram, shares, uniform, self.alpha, project)
        coefficients = torch.diag(torch.ones_like(shares))
        if self.gradients == "pcgrad":
            coefficients = pcgrad_coefficients(gram, random_orders(gram))
        return dynamic_weights(gram, coefficients, self.alpha, shares)
