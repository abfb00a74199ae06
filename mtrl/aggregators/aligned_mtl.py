"""Implements Aligned-MTL, independent component alignment (Senushkin et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from mtrl.aggregators._hyperparameters import require_choice
from mtrl.aggregators._kernels import operators
from mtrl.aggregators._kernels.launching import has_kernel
from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators._linalg.spectral import jacobi, precision_of, significant, sweeps
from mtrl.aggregators._preference import preference_of, preferred
from mtrl.aggregators.base import GramAggregator

ScaleMode = Literal["min", "median", "rmse"]


def aligned_mtl_weights(gram: Tensor, shares: Tensor, scale_mode: ScaleMode = "min") -> Tensor:
    """Weights  σ V Σ⁻¹ Vᵀ shares  from the singular values Σ and left vectors V of G (Algorithm 1).

    Args:
        gram: G Gᵀ, [K, K], float64.
        shares: what each task counts for, [K].
        scale_mode: σ is the smallest singular value that is not zero, their lower median, or the root of
            their mean square.
    """
    scaled = gram / gram.diagonal().mean().clamp(min=TINY)
    values, vectors = jacobi(scaled)
    kept = significant(values, vectors, scaled, precision_of(gram))
    count = kept.sum().clamp(min=1)
    if scale_mode == "rmse":
        scale = torch.where(kept, values, 0).sum() / count
    else:
        ordered = torch.where(kept, values, torch.inf).sort().values
        place = (count - 1) // 2 if scale_mode == "median" else torch.zeros_like(count)
        scale = ordered.gather(0, place[None])[0]
    stretch = torch.where(kept, (scale / torch.where(kept, values, 1)).sqrt(), 0)
    return vectors @ (stretch * (shares @ vectors))


class AlignedMTL(GramAggregator):
    """Aligned-MTL: the gradients' principal components made equally long, then the mean.

    What remains is no conflict and no dominance: G becomes the nearest matrix with orthogonal rows of one
    length σ. ``scale_mode="min"`` is Algorithm 1, whose steps become short as soon as two gradients are
    nearly parallel; the default keeps the scale of the mean gradient. K equal gradients g give g.

    Args:
        num_tasks: K.
        pref_vector: K numbers that say how much each task matters, in proportion; ``None`` for all alike.
        scale_mode: the common length: the smallest singular value of the gradients (``"min"``), their
            ``"median"``, or the root of their mean square (``"rmse"``).
    """

    preference: Tensor

    def __init__(
        self, num_tasks: int, *, pref_vector: Sequence[float] | None = None, scale_mode: ScaleMode = "rmse"
    ) -> None:
        super().__init__(num_tasks)
        require_choice(self, "scale_mode", scale_mode, get_args(ScaleMode))
        self.register_buffer("preference", preference_of(self, pref_vector), persistent=False)
        self.scale_mode = scale_mode

    def weights(self, gram: Tensor, losses: Tensor, shares: Tensor) -> Tensor:
        if has_kernel(gram):
            place = get_args(ScaleMode).index(self.scale_mode)
            return operators.aligned(gram, preferred(shares, self.preference), place, sweeps(len(gram)))
        return aligned_mtl_weights(gram, preferred(shares, self.preference), self.scale_mode)
