"""Implements DualProj, gradient episodic memory's projection (Lopez-Paz and Ranzato, NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mtrl.aggregators._linalg.dual_cone import ConeStep, dual_cone_step, project_onto_dual_cone
from mtrl.aggregators._preference import preference_of, preferred
from mtrl.aggregators.base import GramAggregator


def dualproj_weights(gram: Tensor, shares: Tensor, step: ConeStep = dual_cone_step) -> Tensor:
    """Weights of the direction nearest to the mean gradient that increases no loss (equation 11).

    Args:
        gram: G Gᵀ, [K, K], float64.
        shares: what each task counts for in the mean, [K].
        step: of the interior-point method, perhaps compiled.
    """
    return project_onto_dual_cone(gram, shares[None], step)[0]


class DualProj(GramAggregator):
    """DualProj: the mean gradient, moved no further than it takes to increase no loss.

    The paper projects the gradient of a new task so that it does not conflict with those of earlier ones;
    here, as in TorchJD, the mean is projected so that it conflicts with none. Exact, by one small quadratic
    programme. K equal gradients g give g.

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
        return dualproj_weights(gram, preferred(shares, self.preference), self.solver_step)
