"""Implements MoCo, multi-objective gradient correction (Fernando et al., ICLR 2023)."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_choice, require_number
from mtrl.aggregators._kernels import moving_operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms
from mtrl.aggregators.base import Aggregator
from mtrl.aggregators.matrix import gradient_norms, gram_matrix
from mtrl.aggregators.tracking import build_tracker
from mtrl.types import Direction

Projection = Literal["simplex", "softmax"]
Normalize = Literal["none", "norm", "loss"]


def project_to_simplex(vector: Tensor) -> Tensor:
    """The point of the probability simplex nearest to ``vector`` [K], by sorting."""
    ordered = vector.sort(descending=True).values
    counts = torch.arange(1, len(vector) + 1, device=vector.device)
    thresholds = (ordered.cumsum(0) - 1) / counts
    last = (ordered > thresholds).sum() - 1
    return (vector - thresholds.gather(0, last.clamp(min=0)[None])).clamp(min=0)


class MoCo(Aggregator):
    """MoCo: tracked gradients, and weights that take one projected step of the min-norm problem at a time.

    λ ← Π(λ − γ_k (YYᵀ + ρI)λ) and d = Yᵀλ (equations 10 and 11, Algorithm 1). As in the authors' code, both
    use gradients and weights *after* this step's update, where equation 11 has those before. γ acts on the
    raw Gram matrix: with gradients far from norm one λ jumps between vertices, and the weights depend on
    the gradients' scale. A task whose tracked gradient is zero is left out. A masked task keeps its average
    and its λ until it is back; the others share the simplex meanwhile. ``Direction.metrics`` has λ, as
    the weights of the tracked gradients, and its entropy. K equal gradients g give g.

    Args:
        num_tasks: K.
        beta: weight of the newest gradient in the average; the paper's MT10 runs use 0.99.
        beta_decay: the weight of step k is beta·k^(−beta_decay), at most 1; beta may then exceed 1.
        gamma: step size of λ. The paper's MT10 runs use 10, its supervised ones 0.1; on gradients longer than
            1 the former puts all weight on one task at a time.
        gamma_decay: the step size of step k is gamma·k^(−gamma_decay).
        rho: regularisation of λ.
        radius: tracked gradients are clipped to this norm; ``None`` for no limit.
        projection: ``"simplex"`` is the paper's; ``"softmax"`` what its Cityscapes and NYU-v2 runs used.
        normalize: divide each gradient by its ``"norm"``, or by its norm over its ``"loss"`` as the paper's
            NYU-v2 runs; the direction's length then no longer follows the gradients'.
    """

    keeps_task_state = True
    masks_itself = True
    simplex: Tensor

    def __init__(
        self,
        num_tasks: int,
        *,
        beta: float = 0.99,
        beta_decay: float = 0.0,
        gamma: float = 0.1,
        gamma_decay: float = 0.0,
        rho: float = 0.0,
        radius: float | None = None,
        projection: Projection = "simplex",
        normalize: Normalize = "none",
    ) -> None:
        super().__init__(num_tasks)
        self.tracker = build_tracker(self, beta, beta_decay, radius)
        self.gamma = require_number(self, "gamma", gamma, low=0)
        self.gamma_decay = require_number(self, "gamma_decay", gamma_decay, low=0)
        self.rho = require_number(self, "rho", rho, low=0)
        require_choice(self, "projection", projection, get_args(Projection))
        require_choice(self, "normalize", normalize, get_args(Normalize))
        self.projection = projection
        self.normalize = normalize
        num = self.num_tasks
        self.register_buffer("simplex", torch.full((num,), 1 / num, dtype=torch.float64))

    def aggregate(self, gradients: Tensor, losses: Tensor, shares: Tensor) -> Direction:
        if self.normalize != "none":
            scale = inverse_norms(gradient_norms(gradients))
            scale = scale * losses if self.normalize == "loss" else scale
            gradients = scale[:, None].to(gradients.dtype) * gradients
        usable = shares > 0
        tracked = self.tracker(gradients, usable)
        gamma = self.gamma * self.tracker.steps.double() ** -self.gamma_decay
        gram = gram_matrix(tracked)
        if has_kernel(gram):
            softmax = self.projection == "softmax"
            weights = moving_operators.moco(gram, shares, gamma, self.simplex, self.rho, softmax)
        else:
            weights = self._move(gram, usable, gamma)
        metrics = {"lambda_entropy": torch.special.entr(weights).sum(), "tracked_weight": weights}
        vector = weights.to(tracked.dtype) @ tracked
        return Direction(vector.to(gradients.dtype), None, metrics)

    def _move(self, gram: Tensor, usable: Tensor, gamma: Tensor) -> Tensor:
        kept = torch.where(usable, self.simplex, 0)
        current = kept / kept.sum().clamp(min=TINY)
        slope = gram @ current + self.rho * current
        # A zero gradient would draw all weight to itself, as in MGDA, and one finished task stop all others.
        present = usable & (gram.diagonal() > 0)
        moved = torch.where(present, current - gamma * slope, -1e30)
        stepped = project_to_simplex(moved) if self.projection == "simplex" else moved.softmax(0)
        weights = torch.where(present.any(), stepped, current)
        self.simplex.copy_(torch.where(usable, weights, self.simplex))
        return weights
