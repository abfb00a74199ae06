"""Finds the shortest convex combination of gradients in one launch, for MGDA and SDMGrad."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import (
    TINY,
    add_diagonal,
    diagonal,
    inverse,
    load_matrix,
    load_vector,
    scaled_to_one,
    times,
)

STEP_BACK = tl.constexpr(0.99)
CONVERGED = tl.constexpr(1e-13)


@triton.jit
def min_over_simplex(gram, linear, iterations: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Solve  min ½ wᵀ gram w + linearᵀ w  over the simplex, step by step as the reference does."""
    inside = tl.arange(0, N) < K
    one = tl.where(inside, 1.0, 0.0).to(tl.float64)
    w = tl.where(inside, one / K, 1.0)
    slope = times(gram, one / K) + linear
    spread = 0.1 * tl.maximum(tl.sum(diagonal(gram, N), axis=0) / K, TINY)
    lowest = tl.min(tl.where(inside, slope, float("inf")), axis=0)
    multiplier = tl.where(inside, slope - lowest + spread, 1.0)
    total = tl.sum(one * w * multiplier, axis=0)
    left = tl.full([], iterations, tl.int32)
    while (left > 0) & (total > CONVERGED):
        ratio = multiplier / w
        inverted = inverse(add_diagonal(gram, one * ratio, N), K, N)
        ones = times(inverted, one)
        pull = times(inverted, one * multiplier)
        mass = tl.sum(ones, axis=0)

        # Predictor: straight at μ = 0.
        step = (tl.sum(pull, axis=0) / mass) * ones - pull
        change = -(multiplier + ratio * step)
        steepest = tl.maximum(-step / w, -change / multiplier)
        length = 1.0 / tl.maximum(tl.max(tl.where(inside, steepest, 0.0), axis=0), 1.0)
        second_order = length * length * step * change
        rest = 1.0 - length + tl.sum(one * second_order, axis=0) / total
        rest = tl.minimum(tl.maximum(rest, 0.0), 1.0)

        # Corrector: back to the central path, with the predictor's curvature taken into account.
        right = one * ((rest * rest * rest * total / K - second_order) / w - multiplier)
        pull = times(inverted, right)
        step = pull - (tl.sum(pull, axis=0) / mass) * ones
        change = right - ratio * step
        steepest = tl.maximum(-step / w, -change / multiplier)
        steepest = tl.max(tl.where(inside, steepest, 0.0), axis=0)
        length = (1.0 / tl.maximum(steepest, STEP_BACK)) * STEP_BACK
        w_after = tl.where(inside, w + length * step, 1.0)
        multiplier_after = tl.where(inside, multiplier + length * change, 1.0)
        total_after = tl.sum(one * w_after * multiplier_after, axis=0)
        usable = (length > 0) & (total_after == total_after)  # a failed inverse yields NaN
        w = tl.where(usable, w_after, w)
        multiplier = tl.where(usable, multiplier_after, multiplier)
        total = tl.where(usable, total_after, 0.0)  # what failed would fail again
        left -= 1
    w = one * w
    return w / tl.sum(w, axis=0)


@triton.jit
def shortest_weights(
    gram, shares, pull: tl.constexpr, keep_uniform: tl.constexpr, K: tl.constexpr, N: tl.constexpr
):
    """Find (w + pull·shares)/(1 + pull) with w on the simplex minimising ‖Gᵀ(w + pull·shares)‖².

    Where every gradient is zero, w is uniform or zero.
    """
    own = diagonal(gram, N)
    scaled = scaled_to_one(gram, K, N)
    linear = times(scaled, shares) * pull
    # A linear cost above every entry of the matrix keeps a zero gradient's weight at the rounding level.
    ceiling = 1.0 + tl.max(diagonal(scaled, N), axis=0) + tl.max(tl.abs(linear), axis=0)
    w = min_over_simplex(scaled, tl.where(own > 0, linear, ceiling), 16, K, N)
    some = tl.where(own > 0, w, 0.0)
    w = tl.where(tl.max(own, axis=0) > 0, some, w) if keep_uniform else some
    w = w / tl.maximum(tl.sum(w, axis=0), TINY)
    return (w + shares * pull) / (1.0 + pull)


@triton.jit
def min_norm_kernel(
    gram_pointer,
    shares_pointer,
    weights_pointer,
    pull: tl.constexpr,
    keep_uniform: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write the weights of MGDA (``pull`` 0) or SDMGrad."""
    i = tl.arange(0, N)
    gram, shares = load_matrix(gram_pointer, K, N), load_vector(shares_pointer, K, N)
    tl.store(weights_pointer + i, shortest_weights(gram, shares, pull, keep_uniform, K, N), mask=i < K)


@triton.jit
def moco_kernel(
    gram_pointer,
    shares_pointer,
    gamma_pointer,
    simplex_pointer,
    weights_pointer,
    rho: tl.constexpr,
    softmax: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move MoCo's λ one step, in place and for those with a share, and write it for these."""
    i = tl.arange(0, N)
    inside = i < K
    gram = load_matrix(gram_pointer, K, N)
    usable = load_vector(shares_pointer, K, N) > 0
    before = load_vector(simplex_pointer, K, N)
    kept = tl.where(usable, before, 0.0)
    current = kept / tl.maximum(tl.sum(kept, axis=0), TINY)
    slope = times(gram, current) + current * rho
    present = usable & (diagonal(gram, N) > 0)
    # A zero gradient would draw all weight to itself, as in MGDA, and one finished task stop all others.
    moved = tl.where(present, current - tl.load(gamma_pointer) * slope, -1e30)
    moved = tl.where(inside, moved, -float("inf"))
    if softmax:
        raised = tl.exp(moved - tl.max(moved, axis=0))
        stepped = raised / tl.sum(raised, axis=0)
    else:
        # Michelot's algorithm: of those above the threshold, what makes their sum one is the next.
        threshold = tl.max(moved, axis=0) - 1.0
        count = tl.full([], 0.0, tl.float64)
        above = tl.sum(tl.where(moved > threshold, 1.0, 0.0).to(tl.float64), axis=0)
        while above != count:
            count = above
            threshold = (tl.sum(tl.where(moved > threshold, moved, 0.0), axis=0) - 1.0) / count
            above = tl.sum(tl.where(moved > threshold, 1.0, 0.0).to(tl.float64), axis=0)
        stepped = tl.maximum(moved - threshold, 0.0)
    weights = tl.where(tl.max(tl.where(present, 1, 0), axis=0) > 0, stepped, current)
    tl.store(weights_pointer + i, weights, mask=inside)
    tl.store(simplex_pointer + i, tl.where(usable, weights, before), mask=inside)
