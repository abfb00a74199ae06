"""Solves the equations of FairGrad, Nash-MTL, IMTL-G and GradOPS in one launch each."""

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
    norms_and_cosines,
    scaled_to_one,
    times,
)
from mtrl.aggregators._kernels.simplex import shortest_weights

STEP_BACK = tl.constexpr(0.95)
ITERATIONS = tl.constexpr(30)
SETTLED = tl.constexpr(1e-11)  # of a Newton step: the next would be its square
MIN_SUM = tl.constexpr(1e-4)
VANISHED = tl.constexpr(1e-6)
MIN_PROJECTION = tl.constexpr(1e-3)


@triton.jit
def load_scaled(pointer, K: tl.constexpr, N: tl.constexpr):
    """Load a Gram matrix and divide it by its mean diagonal."""
    return scaled_to_one(load_matrix(pointer, K, N), K, N)


@triton.jit
def fair_kernel(gram_pointer, weights_pointer, alpha: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Write the solution of  gram w = w^(−1/α),  w > 0,  divided by its sum, as ``alpha_fair_weights``."""
    i = tl.arange(0, N)
    inside = i < K
    one = tl.where(inside, 1.0, 0.0).to(tl.float64)
    norms, inverse_norms, cosine, _ = norms_and_cosines(load_scaled(gram_pointer, K, N), K, N)
    goal = tl.log(tl.where(norms > 0, norms, 1.0)) * (1.0 / alpha - 1.0)
    x = tl.exp(goal * (alpha / (1.0 + alpha)))  # the solution for orthogonal gradients
    y = x
    left = tl.full([], ITERATIONS, tl.int32)
    moved = tl.full([], 1.0, tl.float64)
    while (left > 0) & (moved > SETTLED):
        slope = y / (x * alpha)
        missing = y * (goal - tl.log(y) - tl.log(x) / alpha)
        inverted = inverse(add_diagonal(cosine, one * slope, N), K, N)
        step = times(inverted, one * (y - times(cosine, one * x) + missing))
        change = missing - slope * step
        steepest = tl.max(tl.where(inside, tl.maximum(-step / x, -change / y), 0.0), axis=0)
        length = tl.minimum((1.0 / tl.maximum(steepest, TINY)) * STEP_BACK, 1.0)
        check = tl.sum(one * (step + change), axis=0)
        usable = (length > 0) & (check - check == 0)
        size = tl.max(tl.where(inside, tl.maximum(tl.abs(step / x), tl.abs(change / y)), 0.0), axis=0)
        moved = tl.where(usable, size, 0.0)
        x = tl.where(usable, tl.where(inside, x + length * step, x), x)
        y = tl.where(usable, tl.where(inside, y + length * change, y), y)
        left -= 1
    w = one * x * inverse_norms
    tl.store(weights_pointer + i, w / tl.maximum(tl.sum(w, axis=0), TINY), mask=inside)


@triton.jit
def imtl_kernel(gram_pointer, weights_pointer, K: tl.constexpr, N: tl.constexpr):
    """Write ``imtl_g_weights``."""
    i = tl.arange(0, N)
    one = tl.where(i < K, 1.0, 0.0).to(tl.float64)
    _, inverse_norms, _, inverted = norms_and_cosines(load_scaled(gram_pointer, K, N), K, N)
    v = inverse_norms * times(inverted, one)
    least = tl.sum(tl.abs(v), axis=0) * MIN_SUM + TINY
    tl.store(weights_pointer + i, v / tl.maximum(tl.abs(tl.sum(v, axis=0)), least), mask=i < K)


@triton.jit
def gradops_kernel(
    gram_pointer, shares_pointer, weights_pointer, alpha: tl.constexpr, K: tl.constexpr, N: tl.constexpr
):
    """Write ``gradops_weights``."""
    i = tl.arange(0, N)
    inside = i < K
    gram = load_matrix(gram_pointer, K, N)
    shares = load_vector(shares_pointer, K, N)
    norms, inverse_norms, _, inverted = norms_and_cosines(load_scaled(gram_pointer, K, N), K, N)
    own = tl.where(inside, diagonal(inverted, N), 1.0)
    # Of g_i in terms of the g_j: row i is projected if i is in conflict, else kept.
    conflict = tl.min(gram, axis=0) < 0
    left = tl.where(conflict, 1.0 / own, 1.0)
    lengths = tl.sqrt(tl.maximum(diagonal(gram, N), 0.0))

    spread = tl.where(conflict, shares * norms / own, 0.0)
    joint = times(inverted, spread) * inverse_norms + tl.where(conflict, 0.0, shares)  # shares @ C
    along = tl.where(lengths > 0, times(gram, joint) / tl.maximum(lengths, TINY), 0.0)  # R_i, equation 3
    present = (lengths > 0) & (shares > 0)
    count = tl.sum(tl.where(present, 1.0, 0.0).to(tl.float64), axis=0)
    mean = tl.sum(tl.where(present, along, 0.0), axis=0) / tl.maximum(count, 1.0)
    relative = tl.where(present, along / tl.maximum(mean, TINY), 1.0)
    exponents = tl.log(tl.maximum(relative, MIN_PROJECTION)) * alpha
    exponents = tl.where(inside, exponents, -float("inf"))
    trade = shares * tl.exp(exponents - tl.max(exponents, axis=0))
    trade = trade / tl.maximum(tl.sum(trade, axis=0), TINY)
    spread = tl.where(conflict, trade * norms / own, 0.0)
    weights = times(inverted, spread) * inverse_norms + tl.where(conflict, 0.0, trade)
    remaining = tl.max(tl.where(present, left, 0.0), axis=0)
    if remaining <= VANISHED:
        weights = shortest_weights(gram, 0.0 * shares, 0.0, True, K, N)
    tl.store(weights_pointer + i, weights, mask=inside)
