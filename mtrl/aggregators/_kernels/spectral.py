"""Finds eigenvalues and eigenvectors in one launch, for Aligned-MTL and ConFIG."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import (
    TINY,
    add_diagonal,
    diagonal,
    load_matrix,
    load_vector,
    scaled_to_one,
    times,
)

SINGLE = tl.constexpr(1.1920928955078125e-07)  # relative rounding of float32
DOUBLE = tl.constexpr(2.220446049250313e-16)


@triton.jit
def rows_of(matrix, places, N: tl.constexpr):
    """Take rows of a matrix."""
    return tl.gather(matrix, tl.zeros([N, N], tl.int32) + places[:, None], 0)


@triton.jit
def jacobi(matrix, sweeps: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Rotate pairs of rows and columns, turn by turn as the reference does.

    Returns the eigenvalues and, in rows, the eigenvectors.
    """
    i = tl.arange(0, N)
    even = K + K % 2
    last = even - 1
    # A partner for the last row where K is odd: an eigenvalue below all others, which stays where it is.
    matrix = add_diagonal(matrix, tl.where(i < K, 0.0, -1.0).to(tl.float64), N)
    vectors = tl.where(i[:, None] == i[None, :], 1.0, 0.0).to(tl.float64)
    for count in range(sweeps * (K + K % 2 - 1)):
        turn = count % last
        other = (turn - i + 2 * N * last) % last
        other = tl.where(other == i, last, other)
        other = tl.where(i == last, turn * (even // 2) % last, other)
        other = tl.where(i < even, other, i)
        own = diagonal(matrix, N)
        product = tl.sum(tl.where(i[None, :] == other[:, None], matrix, 0.0), axis=1)
        twice = product + tl.gather(product, other, 0)  # to the last bit as the partner has it
        apart = tl.gather(own, other, 0) - own
        first = tl.where(i < other, 1.0, -1.0).to(tl.float64)
        size = tl.abs(apart)
        side = tl.where(apart == 0, first, tl.where(apart > 0, 1.0, -1.0))
        bound = size + tl.sqrt(apart * apart + twice * twice)
        moves = (twice != 0) & (i < even) & (bound > 0)
        tangent = tl.where(moves, side * twice / tl.where(bound > 0, bound, 1.0), 0.0)
        cosine = 1.0 / tl.sqrt(1.0 + tangent * tangent)
        sine = tangent * cosine
        # A right angle more where it brings the longer row to the front: fewer sweeps are needed.
        turned = tl.where(sine == 0, first, tl.where(sine > 0, 1.0, -1.0))
        behind = (first * apart > 0) & (i < even)
        swapped = -turned * cosine
        cosine = tl.where(behind, tl.abs(sine), cosine)
        sine = tl.where(behind, swapped, sine)
        matrix = cosine[:, None] * matrix - sine[:, None] * rows_of(matrix, other, N)
        matrix = cosine[None, :] * matrix - sine[None, :] * tl.trans(rows_of(tl.trans(matrix), other, N))
        vectors = cosine[:, None] * vectors - sine[:, None] * rows_of(vectors, other, N)
    return diagonal(matrix, N), vectors


@triton.jit
def components(matrix, gram, sweeps: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Find the eigenvalues and, in rows, the eigenvectors of a matrix that was made from ``gram``.

    Returns also which of them are more than rounding made, and the precision of products, as the reference.
    """
    i = tl.arange(0, N)
    values, vectors = jacobi(matrix, sweeps, K, N)
    same = tl.where(gram.to(tl.float32).to(tl.float64) == gram, 1, 0)
    single = tl.min(tl.min(same, axis=1), axis=0) > 0
    precision = tl.where(single, SINGLE, DOUBLE).to(tl.float64)
    own = tl.sum(vectors * vectors * diagonal(matrix, N)[None, :], axis=1)
    floor = tl.max(tl.where(i < K, values, 0.0), axis=0) * DOUBLE
    return values, vectors, (values > tl.maximum(own * precision, floor) * K) & (i < K), precision


@triton.jit
def aligned_kernel(
    gram_pointer,
    shares_pointer,
    weights_pointer,
    place: tl.constexpr,
    sweeps: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write Aligned-MTL's weights, on the scale of the smallest, median or mean eigenvalue: 0, 1 or 2."""
    i = tl.arange(0, N)
    gram, shares = load_matrix(gram_pointer, K, N), load_vector(shares_pointer, K, N)
    values, vectors, kept, _ = components(scaled_to_one(gram, K, N), gram, sweeps, K, N)
    count = tl.maximum(tl.sum(tl.where(kept, 1, 0), axis=0), 1)
    if place == 2:
        scale = tl.sum(tl.where(kept, values, 0.0), axis=0) / count
    else:
        smaller = (values[None, :] < values[:, None]) | (
            (values[None, :] == values[:, None]) & (i[None, :] < i[:, None])
        )
        rank = tl.sum(tl.where(smaller & kept[None, :], 1, 0), axis=1)
        wanted = (count - 1) // 2 if place == 1 else 0 * count
        scale = tl.sum(tl.where(kept & (rank == wanted), values, 0.0), axis=0)
    stretch = tl.where(kept, tl.sqrt(scale / tl.where(kept, values, 1.0)), 0.0)
    along = stretch * tl.sum(vectors * shares[None, :], axis=1)
    tl.store(weights_pointer + i, tl.sum(vectors * along[:, None], axis=0), mask=i < K)


@triton.jit
def config_kernel(
    gram_pointer,
    shares_pointer,
    preference_pointer,
    weights_pointer,
    sweeps: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write ConFIG's weights."""
    i = tl.arange(0, N)
    gram, shares = load_matrix(gram_pointer, K, N), load_vector(shares_pointer, K, N)
    preference = load_vector(preference_pointer, K, N)
    norms = tl.sqrt(tl.maximum(diagonal(gram, N), 0.0))
    inverse_norms = tl.where(norms > 0, 1.0 / tl.maximum(norms, TINY), 0.0)
    cosine = inverse_norms[:, None] * gram * inverse_norms[None, :]
    values, vectors, kept, precision = components(cosine, gram, sweeps, K, N)
    parts = tl.sum(vectors * preference[None, :], axis=1)
    kept = kept & (tl.abs(parts) > precision * K * tl.sqrt(tl.sum(preference * preference, axis=0)))
    along = tl.where(kept, parts / tl.where(kept, values, 1.0), 0.0)
    solution = tl.sum(vectors * along[:, None], axis=0)
    products = times(cosine, solution)
    length = tl.sum(shares * norms * products, axis=0)
    length = length / tl.maximum(tl.sum(solution * products, axis=0), TINY)
    tl.store(weights_pointer + i, length * inverse_norms * solution, mask=i < K)
