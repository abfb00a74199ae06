"""Implements ConFIG, conflict-free inverse gradients (Liu, Chu and Thuerey, ICLR 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY, inverse_norms
from mtrl.aggregators._linalg.spectral import jacobi, precision_of, significant, sweeps
from mtrl.aggregators._preference import preference_of, preferred
from mtrl.aggregators.base import GramAggregator


def config_weights(gram: Tensor, shares: Tensor, preference: Tensor) -> Tensor:
    """Weights of  (Σ s_i ⟨g_i, u⟩) u  with u the unit vector along  U⁺ preference  (equations 2 and 3).

    U has the unit gradients as rows. A pseudo-inverse, by the cosine matrix: U⁺ = Uᵀ(UUᵀ)⁺; where the
    preference has no part in what the gradients span, as with two opposite ones, the weights are zero.

    Args:
        gram: G Gᵀ, [K, K], float64.
        shares: s, [K].
        preference: the cosines with the gradients, up to a common factor, [K].
    """
    if has_kernel(gram):
        return operators.config(gram, shares, preference, sweeps(len(gram)))
    norms = gram.diagonal().clamp(min=0).sqrt()
    inverse = inverse_norms(norms)
    cosine = inverse[:, None] * gram * inverse
    values, vectors = jacobi(cosine)
    precision = precision_of(gram)
    parts = preference @ vectors  # [K], of the preference along each eigenvector
    kept = significant(values, vectors, cosine, precision)
    kept &= parts.abs() > len(gram) * precision * preference.norm()
    along = torch.where(kept, parts / torch.where(kept, values, 1), 0)
    solution = vectors @ along  # (UUᵀ)⁺ preference
    products = cosine @ solution  # of the target Uᵀsolution with the unit gradients
    length = (shares * norms * products).sum() / (solution @ products).clamp(min=TINY)
    return length * inverse * solution


class ConFIG(GramAggregator):
    """ConFIG: the direction with equal cosines to all gradients, as long as their projections on it.

    The paper adds up the projections; this is their mean, so K equal gradients g give g. Up to its length it
    is IMTL-G's direction.

    Args:
        num_tasks: K.
        pref_vector: K numbers that say how much each task matters, in proportion: the cosines are to these;
            ``None`` for all alike.
    """

    preference: Tensor

    def __init__(self, num_tasks: int, *, pref_vector: Sequence[float] | None = None) -> None:
        super().__init__(num_tasks)
        self.register_buffer("preference", preference_of(self, pref_vector), persistent=False)

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        return config_weights(gram, shares, preferred(shares, self.preference))
