"""Finds eigenvalues and eigenvectors in one launch, for Aligned-MTL and ConFIG."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import add_diagonal, diagonal, load_matrix


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
def eigen_kernel(
    gram_pointer, values_pointer, vectors_pointer, sweeps: tl.constexpr, K: tl.constexpr, N: tl.constexpr
):
    """Write the eigenvalues [K] and the eigenvectors, in columns [K, K]."""
    i = tl.arange(0, N)
    values, vectors = jacobi(load_matrix(gram_pointer, K, N), sweeps, K, N)
    tl.store(values_pointer + i, values, mask=i < K)
    inside = (i[:, None] < K) & (i[None, :] < K)
    tl.store(vectors_pointer + i[None, :] * K + i[:, None], vectors, mask=inside)
