"""Projects onto the dual cone of gradients in one launch, a program each, for UPGrad and DualProj."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import (
    TINY,
    add_diagonal,
    inverse,
    load_matrix,
    norms_and_cosines,
    scaled_to_one,
    times,
)

STEP_BACK = tl.constexpr(0.995)
CONVERGED = tl.constexpr(1e-18)


@triton.jit
def dual_cone_kernel(
    gram_pointer,
    weights_pointer,
    projected_pointer,
    iterations: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write the weights of the projection of one combination, step by step as the reference does."""
    i = tl.arange(0, N)
    inside = i < K
    one = tl.where(inside, 1.0, 0.0).to(tl.float64)
    norms, inverse_norms, cosine, _ = norms_and_cosines(
        scaled_to_one(load_matrix(gram_pointer, K, N), K, N), K, N
    )
    place = tl.program_id(0) * K + i
    bound = tl.load(weights_pointer + place, mask=inside, other=0.0) * norms
    unit = tl.max(bound, axis=0)
    lower = bound / tl.maximum(unit, TINY)
    cost = tl.where(inside & (norms == 0), 1.0, 0.0)  # keeps the slack of an absent gradient at zero
    slack = tl.zeros([N], tl.float64) + 1.0
    multiplier = tl.zeros([N], tl.float64) + 1.0
    total = tl.sum(one, axis=0)
    left = tl.full([], iterations, tl.int32)
    while (left > 0) & (total > CONVERGED):
        ratio = multiplier / slack
        inverted = inverse(add_diagonal(cosine, one * ratio, N), K, N)
        missed = times(cosine, lower + one * slack) + cost - one * multiplier

        # Predictor: straight at μ = 0.
        step = -times(inverted, missed + one * multiplier)
        change = -multiplier - ratio * step
        steepest = tl.where(inside, tl.maximum(-step / slack, -change / multiplier), 0.0)
        length = 1.0 / tl.maximum(tl.max(steepest, axis=0), 1.0)
        after = one * (slack + length * step) * (multiplier + length * change)
        rest = tl.sum(after, axis=0) / total

        # Corrector: back to the central path, with the predictor's curvature taken into account.
        goal = (rest * rest * rest * total / K - step * change) / slack - multiplier
        step = times(inverted, one * goal - missed)
        change = goal - ratio * step
        steepest = tl.where(inside, tl.maximum(-step / slack, -change / multiplier), 0.0)
        length = (1.0 / tl.maximum(tl.max(steepest, axis=0), 1.0)) * STEP_BACK
        slack_after = tl.where(inside, slack + length * step, 1.0)
        multiplier_after = tl.where(inside, multiplier + length * change, 1.0)
        total_after = tl.sum(one * slack_after * multiplier_after, axis=0)
        usable = (length > 0) & (total_after == total_after)  # a failed inverse yields NaN
        slack = tl.where(usable, slack_after, slack)
        multiplier = tl.where(usable, multiplier_after, multiplier)
        total = tl.where(usable, total_after, 0.0)  # what failed would fail again
        left -= 1
    tl.store(projected_pointer + place, (lower + slack) * unit * inverse_norms, mask=inside)
