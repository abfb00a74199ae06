"""Gives the kernels their algebra on one padded N x N matrix, as functions of Triton.

Vectors are [N] and matrices [N, N] with N a power of two from the number of tasks K upwards; what is beyond K
is zero. Constants of Python are float64 here, since they meet float64 tensors only.
"""

from __future__ import annotations

import triton
import triton.language as tl

TINY = tl.constexpr(1e-300)


@triton.jit
def load_matrix(pointer, K: tl.constexpr, N: tl.constexpr):
    """Load a contiguous [K, K] matrix."""
    i = tl.arange(0, N)
    inside = (i[:, None] < K) & (i[None, :] < K)
    return tl.load(pointer + i[:, None] * K + i[None, :], mask=inside, other=0.0)


@triton.jit
def load_vector(pointer, K: tl.constexpr, N: tl.constexpr):
    """Load a [K] vector."""
    i = tl.arange(0, N)
    return tl.load(pointer + i, mask=i < K, other=0.0)


@triton.jit
def diagonal(matrix, N: tl.constexpr):
    """Read the diagonal."""
    i = tl.arange(0, N)
    return tl.sum(tl.where(i[:, None] == i[None, :], matrix, 0.0), axis=0)


@triton.jit
def add_diagonal(matrix, vector, N: tl.constexpr):
    """Add a vector to the diagonal."""
    i = tl.arange(0, N)
    return matrix + tl.where(i[:, None] == i[None, :], vector[None, :], 0.0)


@triton.jit
def scaled_to_one(gram, K: tl.constexpr, N: tl.constexpr):
    """Divide a Gram matrix by its mean diagonal."""
    return gram / tl.maximum(tl.sum(diagonal(gram, N), axis=0) / K, TINY)


@triton.jit
def times(symmetric, vector):
    """Multiply a symmetric matrix and a vector."""
    return tl.sum(symmetric * vector[:, None], axis=0)


@triton.jit
def inverse(matrix, K: tl.constexpr, N: tl.constexpr):
    """Invert a symmetric positive definite matrix."""
    inverted, _ = inverse_and_pivot(matrix, K, N)
    return inverted


@triton.jit
def entry(vector, place, N: tl.constexpr):
    """Read one entry, as a vector of equal ones: a gather is one exchange, a sum would be several."""
    return tl.gather(vector, tl.zeros([N], tl.int32) + place, 0)


@triton.jit
def inverse_and_pivot(matrix, K: tl.constexpr, N: tl.constexpr):
    """Invert a symmetric positive definite matrix by symmetric sweeps over pairs of rows.

    Returns the inverse and the smallest pivot, which is not positive where the matrix is not definite.
    A sweep is one update of rank two: unlike a factor it leaves no chain of triangular solves behind, and
    what it waits for, the exchange between threads and a division, it waits for K/2 times.
    """
    i = tl.arange(0, N)
    ahead = (i[:, None] >= K) & (i[:, None] == i[None, :])
    matrix = tl.where(ahead, 1.0, matrix)  # a partner for the last row where K is odd
    smallest = tl.zeros([N], tl.float64) + 1.0
    for pair in range((K + 1) // 2):
        k = 2 * pair
        first = tl.sum(tl.where(i[:, None] == k, matrix, 0.0), axis=0)
        second = tl.sum(tl.where(i[:, None] == k + 1, matrix, 0.0), axis=0)
        a = entry(first, k, N)
        b = entry(first, k + 1, N)
        d = entry(second, k + 1, N)
        determinant = a * d - b * b
        smallest = tl.where(tl.minimum(a, determinant) > 0, smallest, -1.0)  # not so for NaN
        reciprocal = 1.0 / a
        slope = b * reciprocal
        first = tl.where(i == k, -1.0, tl.where(i == k + 1, 0.0, first))
        second = tl.where(i == k, slope, tl.where(i == k + 1, -1.0, second - slope * first))
        left = first * reciprocal
        right = second * (a / determinant)
        others = (i[:, None] // 2 != pair) & (i[None, :] // 2 != pair)
        matrix = tl.where(others, matrix, 0.0)
        matrix -= first[:, None] * left[None, :] + second[:, None] * right[None, :]
    inside = (i[:, None] < K) & (i[None, :] < K)
    return tl.where(inside, -matrix, 0.0), tl.min(smallest, axis=0)


@triton.jit
def norms_and_cosines(gram, K: tl.constexpr, N: tl.constexpr):
    """Norms, their inverses, the cosine matrix with the least ridge that makes it definite, its inverse."""
    norms, inverse_norms, cosine, one = unit_cosines(gram, K, N)
    ridge = tl.full([], 1e-14, tl.float64)
    inverted, smallest = inverse_and_pivot(add_diagonal(cosine, one * (K * ridge), N), K, N)
    while (smallest <= 0) & (ridge < 1e-5):
        ridge = tl.where(ridge < 1e-12, 1e-10, tl.where(ridge < 1e-8, 1e-7, 1e-4)).to(tl.float64)
        inverted, smallest = inverse_and_pivot(add_diagonal(cosine, one * (K * ridge), N), K, N)
    return norms, inverse_norms, add_diagonal(cosine, one * (K * ridge), N), inverted


@triton.jit
def unit_cosines(gram, K: tl.constexpr, N: tl.constexpr):
    """Norms, their inverses, the cosine matrix, and ones for the K tasks.

    A zero gradient gets norm zero and stands orthogonal to the others, as in the reference.
    """
    i = tl.arange(0, N)
    norms = tl.sqrt(tl.maximum(diagonal(gram, N), 0.0))
    inverse_norms = tl.where(norms > 0, 1.0 / tl.maximum(norms, TINY), 0.0)
    cosine = inverse_norms[:, None] * gram * inverse_norms[None, :]
    cosine = tl.where(i[:, None] == i[None, :], 0.0, cosine)
    one = tl.where(i < K, 1.0, 0.0).to(tl.float64)
    return norms, inverse_norms, add_diagonal(cosine, one, N), one
