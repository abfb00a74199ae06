"""Reads how much each task matters to the user, where a method's paper has such a preference vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.aggregators._linalg.cosines import TINY
from mtrl.aggregators.base import Aggregator
from mtrl.errors import require


def preference_of(owner: Aggregator, pref_vector: Sequence[float] | None) -> Tensor:
    """Check a preference vector on behalf of ``owner``; [K], float64, ones where there is none."""
    num = owner.num_tasks
    if pref_vector is None:
        return torch.ones(num, dtype=torch.float64)
    try:
        preference = torch.as_tensor(pref_vector, dtype=torch.float64)
        fits = preference.shape == (num,) and bool((preference >= 0).all() & preference.isfinite().all())
    except (TypeError, ValueError, RuntimeError):
        fits = False
    require(
        fits and bool(preference.any()),
        f"{type(owner).__name__}: pref_vector must be K = {num} finite numbers >= 0, one of them greater, "
        f"found {pref_vector}; only their proportions count",
    )
    return preference


def preferred(shares: Tensor, preference: Tensor) -> Tensor:
    """What each task counts for [K], with sum one: ``preference`` [K] among those that have a share."""
    require(
        shares.shape == preference.shape,
        f"pref_vector has {len(preference)} tasks, but the method is given {len(shares)}: a subset of tasks, "
        "drawn anew at each step, takes methods without a pref_vector",
    )
    weighted = shares * preference
    return weighted / weighted.sum().clamp(min=TINY)
