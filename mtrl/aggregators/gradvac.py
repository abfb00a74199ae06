"""Implements GradVac, the gradient vaccine (Wang et al., ICLR 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_number
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators.base import GramAggregator
from mtrl.aggregators.pcgrad import random_orders

MIN_SINE = 1e-3  # a target cosine of one would ask for infinitely much of the other gradient


def gradvac_coefficients(gram: Tensor, order: Tensor, target: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Algorithm 1 on all tasks at once: C [K, K] with g_i' = Σ_j C_ij g_j, and the new targets [K, K].

    Where the cosine of g_i' and g_j is below its target, g_j is added until it is reached (equation 3);
    the target follows the cosines seen, φ̂ ← (1 − β) φ̂ + β φ. A pair without an angle, because one
    gradient is zero, leaves both alone. 1 − φ̂² is bounded from below, which the paper leaves open.

    Args:
        gram: G Gᵀ, [K, K], float64.
        order: the tasks that each task visits, [K, K]; a task's own place is passed over.
        target: φ̂, [K, K].
        beta: rate of the moving average.
    """
    num = gram.shape[0]
    coefficients = torch.diag(torch.ones_like(gram[0]))
    products = gram.clone()  # [K, K], ⟨g_i', g_j⟩
    norms = gram.diagonal().clamp(min=0).sqrt()
    target = target.clone()
    others = order != torch.arange(num, device=order.device)[:, None]  # [K, K]
    for visited, is_other in zip(order.T[..., None], others.T[..., None], strict=True):  # [K, 1] each
        own = (coefficients * products).sum(1, keepdim=True).clamp(min=0).sqrt()  # [K, 1], ‖g_i'‖
        other = norms[visited]  # [K, 1]
        size = own * other
        angled = is_other & (size > 0)
        cosine = (products.gather(1, visited) / size.clamp(min=TINY)).clamp(-1, 1)
        goal = target.gather(1, visited)
        sine, goal_sine = (1 - cosine**2).sqrt(), (1 - goal**2).clamp(min=MIN_SINE**2).sqrt()
        amount = own * (goal * sine - cosine * goal_sine) / (other * goal_sine).clamp(min=TINY)
        amount = torch.where(angled & (cosine < goal), amount, 0)
        coefficients.scatter_add_(1, visited, amount)
        products.addcmul_(amount, gram[visited[:, 0]])
        target.scatter_(1, visited, torch.where(angled, goal + beta * (cosine - goal), goal))
    return coefficients, target


class GradVac(GramAggregator):
    """GradVac: PCGrad that also aligns gradients without conflict, up to the similarity seen so far.

    The paper sums the modified gradients; this is their mean, so K equal gradients g give g.

    Args:
        num_tasks: K.
        beta: rate at which the target similarities follow the observed ones.
    """

    keeps_task_state = True
    target: Tensor

    def __init__(self, num_tasks: int, *, beta: float = 0.01) -> None:
        super().__init__(num_tasks)
        self.beta = require_number(self, "beta", beta, low=0, high=1)
        self.register_buffer("target", torch.zeros(num_tasks, num_tasks, dtype=torch.float64))

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            return operators.gradvac(gram, shares, torch.rand_like(gram), self.target, self.beta)
        coefficients, target = gradvac_coefficients(gram, random_orders(gram), self.target, self.beta)
        self.target.copy_(target)
        return shares @ coefficients
