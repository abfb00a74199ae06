"""Implements UPGrad, unconflicting projection of gradients (Quinton and Rey, 2024)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregators._linalg.dual_cone import ConeStep, dual_cone_step, project_onto_dual_cone
from mtrl.aggregators._preference import preference_of, preferred
from mtrl.aggregators.base import GramAggregator


def upgrad_weights(gram: Tensor, shares: Tensor, step: ConeStep = dual_cone_step) -> Tensor:
    """Weights of the mean of all gradients, each projected onto the dual cone of all (Proposition 1).

    Args:
        gram: G Gᵀ, [K, K], float64.
        shares: what each task counts for in the mean, [K].
        step: of the interior-point method, perhaps compiled.
    """
    return project_onto_dual_cone(gram, torch.diag(shares), step).sum(0)


class UPGrad(GramAggregator):
    """UPGrad: the mean of gradients that were each freed of conflict with all others.

    A task's gradient becomes the nearest direction that increases no loss, so the step increases none, and it
    is proportional to each gradient's length. Exact, by K small quadratic programmes in one batch, where
    TorchJD adds an absolute 1e-4 to the Gram matrix. K equal gradients g give g.

    Args:
        num_tasks: K.
        pref_vector: K numbers that say how much each task matters, in proportion; ``None`` for all alike.
    """

    solver_step: ConeStep
    preference: Tensor

    def __init__(self, num_tasks: int, *, pref_vector: Sequence[float] | None = None) -> None:
        super().__init__(num_tasks)
        self.solver_step = dual_cone_step
        self.register_buffer("preference", preference_of(self, pref_vector), persistent=False)

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        return upgrad_weights(gram, preferred(shares, self.preference), self.solver_step)
