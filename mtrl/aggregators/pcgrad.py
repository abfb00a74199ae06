"""Implements PCGrad, gradient surgery (Yu et al., NeurIPS 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators.base import GramAggregator


def random_orders(gram: Tensor) -> Tensor:
    """For each of K tasks a random order of all K, [K, K] int64."""
    return torch.rand_like(gram).argsort(1)


def pcgrad_coefficients(gram: Tensor, order: Tensor) -> Tensor:
    """Algorithm 1 on all tasks at once: row i of C [K, K] holds g_i' = Σ_j C_ij g_j.

    Task i visits the others in the order of row i and, where g_i' conflicts with g_j, is projected onto the
    plane normal to g_j. Inner products follow from R = C gram, so no gradient is touched.

    Args:
        gram: G Gᵀ, [K, K], float64.
        order: the tasks that each task visits, [K, K]; a task's own place is passed over.
    """
    num = gram.shape[0]
    coefficients = torch.diag(torch.ones_like(gram[0]))
    products = gram.clone()  # [K, K], ⟨g_i', g_j⟩
    squares = gram.diagonal().clamp(min=TINY)
    others = (order != torch.arange(num, device=order.device)[:, None]).to(gram.dtype)  # [K, K]
    for visited, is_other in zip(order.T[..., None], others.T[..., None], strict=True):  # [K, 1] each
        conflict = products.gather(1, visited).clamp(max=0) * is_other
        amount = -conflict / squares[visited]
        coefficients.scatter_add_(1, visited, amount)
        products.addcmul_(amount, gram[visited[:, 0]])
    return coefficients


class PCGrad(GramAggregator):
    """PCGrad: each gradient loses what conflicts with another, one after another in random order.

    The paper sums the projected gradients; this is their mean, so K equal gradients g give g.
    """

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.pcgrad(gram, shares, torch.rand_like(gram))
        return shares @ pcgrad_coefficients(gram, random_orders(gram))
