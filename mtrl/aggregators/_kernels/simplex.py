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
        inverted, _ = inverse(add_diagonal(gram, one * ratio, N), K, N)
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
        check = tl.sum(one * (step + change), axis=0)
        usable = (length > 0) & (check - check == 0)
        length = tl.where(usable, length, 0.0)
        w = tl.where(usable, tl.where(inside, w + length * step, w), w)
        multiplier = tl.where(usable, tl.where(inside, multiplier + length * change, multiplier), multiplier)
        total = tl.where(usable, tl.sum(one * w * multiplier, axis=0), 0.0)  # a failed step would fail again
        left -= 1
    w = one * w
    return w / tl.sum(w, axis=0)


@triton.jit
def min_norm_kernel(
    gram_pointer,
    shares_pointer,
    weights_pointer,
    K: tl.constexpr,
    pull: tl.constexpr,
    keep_uniform: tl.constexpr,
    N: tl.constexpr,
):
    """(w + pull·shares)/(1 + pull) with w on the simplex minimising ‖Gᵀ(w + pull·shares)‖²."""
    i = tl.arange(0, N)
    gram = load_matrix(gram_pointer, K, N)
    shares = load_vector(shares_pointer, K, N)
    own = diagonal(gram, N)
    scaled = gram / tl.maximum(tl.sum(own, axis=0) / K, TINY)
    linear = times(scaled, shares) * pull
    ceiling = 1.0 + tl.max(diagonal(scaled, N), axis=0) + tl.max(tl.abs(linear), axis=0)
    present = own > 0
    w = min_over_simplex(scaled, tl.where(present, linear, ceiling), 16, K, N)
    some = tl.where(present, w, 0.0)
    w = tl.where(tl.max(own, axis=0) > 0, some, w) if keep_uniform else some
    w = w / tl.maximum(tl.sum(w, axis=0), TINY)
    tl.store(weights_pointer + i, (w + shares * pull) / (1.0 + pull), mask=i < K)
