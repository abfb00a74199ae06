"""Runs the sequences of projections of PCGrad and GradVac in one launch."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import TINY, load_matrix, load_vector


@triton.jit
def pcgrad_kernel(
    gram_pointer,
    shares_pointer,
    uniform_pointer,
    weights_pointer,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write shares @ C, with C as ``pcgrad_coefficients`` for the orders that sort ``uniform``."""
    i = tl.arange(0, N)
    inside = i < K
    products = load_matrix(gram_pointer, K, N)
    shares = load_vector(shares_pointer, K, N)
    drawn = tl.load(
        uniform_pointer + i[:, None] * K + i[None, :],
        mask=inside[:, None] & inside[None, :],
        other=float("inf"),
    )
    coefficients = tl.where((i[:, None] == i[None, :]) & inside[:, None], 1.0, 0.0).to(tl.float64)
    for _ in range(K):
        visited = tl.argmin(drawn, axis=1)
        chosen = i[None, :] == visited[:, None]
        drawn = tl.where(chosen, float("inf"), drawn)
        conflict = tl.minimum(tl.sum(tl.where(chosen, products, 0.0), axis=1), 0.0)
        square = tl.load(gram_pointer + visited * (K + 1), mask=inside, other=1.0)
        amount = tl.where((visited != i) & inside, -conflict / tl.maximum(square, TINY), 0.0)
        coefficients += tl.where(chosen, amount[:, None], 0.0)
        row = tl.load(
            gram_pointer + visited[:, None] * K + i[None, :],
            mask=inside[:, None] & inside[None, :],
            other=0.0,
        )
        products += amount[:, None] * row
    weights = tl.sum(coefficients * shares[:, None], axis=0)
    tl.store(weights_pointer + i, weights, mask=inside)
