"""Gives the kernels their algebra on one padded N x N matrix, as functions of Triton.

Vectors are [N] and matrices [N, N] with N a power of two from the number of tasks K upwards; what is beyond K
is zero. Constants of Python are float64 here, since they meet float64 tensors only.
"""

from __future__ import annotations

import triton
import triton.language as tl

TINY = tl.constexpr(1e-300)
FAILED = tl.constexpr(-1.0)


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
def times(symmetric, vector):
    """Multiply a symmetric matrix and a vector."""
    return tl.sum(symmetric * vector[:, None], axis=0)


@triton.jit
def inverse(matrix, K: tl.constexpr, N: tl.constexpr):
    """Invert a symmetric positive definite matrix."""
    inverted, _ = inverse_and_pivot(matrix, K, N)
    return inverted


@triton.jit
def inverse_and_pivot(matrix, K: tl.constexpr, N: tl.constexpr):
    """Invert a symmetric positive definite matrix by K symmetric sweeps.

    Returns the inverse and the smallest pivot, which is not positive where the matrix is not definite.
    A sweep is one rank-one update and, unlike a triangular solve, leaves no chain of reductions behind.
    """
    i = tl.arange(0, N)
    smallest = tl.full([], float("inf"), tl.float64)
    for k in range(K):
        row = tl.sum(tl.where(i[:, None] == k, matrix, 0.0), axis=0)
        pivot = tl.sum(tl.where(i == k, row, 0.0), axis=0)
        smallest = tl.where(pivot < smallest, pivot, tl.where(pivot == pivot, smallest, FAILED))
        row = tl.where(i == k, -1.0, row)
        scaled = row * (1.0 / pivot)
        others = (i[:, None] != k) & (i[None, :] != k)
        matrix = tl.where(others, matrix, 0.0) - row[:, None] * scaled[None, :]
    return -matrix, smallest


@triton.jit
def norms_and_cosines(gram, K: tl.constexpr, N: tl.constexpr):
    """Norms, their inverses, the cosine matrix with the smallest ridge that makes it definite, its inverse.

    A zero gradient gets norm zero and stands orthogonal to the others, as in ``unit_factor``.
    """
    i = tl.arange(0, N)
    norms = tl.sqrt(tl.maximum(diagonal(gram, N), 0.0))
    inverse_norms = tl.where(norms > 0, 1.0 / tl.maximum(norms, TINY), 0.0)
    cosine = inverse_norms[:, None] * gram * inverse_norms[None, :]
    cosine = tl.where(i[:, None] == i[None, :], 0.0, cosine)
    one = tl.where(i < K, 1.0, 0.0).to(tl.float64)
    ridge = tl.full([], 1e-14, tl.float64)
    inverted, smallest = inverse_and_pivot(add_diagonal(cosine, one * (1.0 + K * ridge), N), K, N)
    while (smallest <= 0) & (ridge < 1e-5):
        ridge = tl.where(ridge < 1e-12, 1e-10, tl.where(ridge < 1e-8, 1e-7, 1e-4)).to(tl.float64)
        inverted, smallest = inverse_and_pivot(add_diagonal(cosine, one * (1.0 + K * ridge), N), K, N)
    return norms, inverse_norms, add_diagonal(cosine, one * (1.0 + K * ridge), N), inverted
