"""Runs the sequences of projections of PCGrad and GradVac in one launch."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import TINY, diagonal, load_matrix, load_vector

LEAST = tl.constexpr(1e-6)  # of the squared sine


@triton.jit
def identity(K: tl.constexpr, N: tl.constexpr):
    """Build the identity of K tasks."""
    i = tl.arange(0, N)
    return tl.where((i[:, None] == i[None, :]) & (i[:, None] < K), 1.0, 0.0).to(tl.float64)


@triton.jit
def load_uniform(pointer, K: tl.constexpr, N: tl.constexpr):
    """Load [K, K] random numbers, whose rows' orders are the orders of visits; infinity is visited last."""
    i = tl.arange(0, N)
    inside = (i[:, None] < K) & (i[None, :] < K)
    return tl.load(pointer + i[:, None] * K + i[None, :], mask=inside, other=float("inf"))


@triton.jit
def load_rows(pointer, rows, K: tl.constexpr, N: tl.constexpr):
    """Load row ``rows[i]`` of a [K, K] matrix as row i, for K rows."""
    i = tl.arange(0, N)
    inside = (i[:, None] < K) & (i[None, :] < K)
    return tl.load(pointer + rows[:, None] * K + i[None, :], mask=inside, other=0.0)


@triton.jit
def pcgrad_coefficients(gram_pointer, uniform_pointer, K: tl.constexpr, N: tl.constexpr):
    """Find C [K, K] with g_i' = Σ_j C_ij g_j, as the reference does for the orders that sort ``uniform``."""
    i = tl.arange(0, N)
    inside = i < K
    products = load_matrix(gram_pointer, K, N)
    drawn = load_uniform(uniform_pointer, K, N)
    coefficients = identity(K, N)
    for _ in range(K):
        visited = tl.argmin(drawn, axis=1)
        chosen = i[None, :] == visited[:, None]
        drawn = tl.where(chosen, float("inf"), drawn)
        conflict = tl.minimum(tl.sum(tl.where(chosen, products, 0.0), axis=1), 0.0)
        square = tl.load(gram_pointer + visited * (K + 1), mask=inside, other=1.0)
        amount = tl.where((visited != i) & inside, -conflict / tl.maximum(square, TINY), 0.0)
        coefficients += tl.where(chosen, amount[:, None], 0.0)
        products += amount[:, None] * load_rows(gram_pointer, visited, K, N)
    return coefficients


@triton.jit
def pcgrad_kernel(
    gram_pointer, shares_pointer, uniform_pointer, weights_pointer, K: tl.constexpr, N: tl.constexpr
):
    """Write shares @ C."""
    i = tl.arange(0, N)
    coefficients = pcgrad_coefficients(gram_pointer, uniform_pointer, K, N)
    shares = load_vector(shares_pointer, K, N)
    tl.store(weights_pointer + i, tl.sum(coefficients * shares[:, None], axis=0), mask=i < K)


@triton.jit
def dynamic_kernel(
    gram_pointer,
    shares_pointer,
    uniform_pointer,
    weights_pointer,
    alpha: tl.constexpr,
    project: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write ``dynamic_weights`` of raw gradients or of PCGrad's."""
    i = tl.arange(0, N)
    gram = load_matrix(gram_pointer, K, N)
    shares = load_vector(shares_pointer, K, N)
    norms = tl.sqrt(tl.maximum(diagonal(gram, N), 0.0))
    coefficients = pcgrad_coefficients(gram_pointer, uniform_pointer, K, N) if project else identity(K, N)
    number = tl.sum(tl.where(shares > 0, 1.0, 0.0), axis=0)
    joint = tl.sum(coefficients * (shares * number)[:, None], axis=0)
    along = tl.sum(gram * joint[:, None], axis=0)
    along = tl.where(norms > 0, along / tl.maximum(norms, TINY), 0.0)
    present = tl.where(norms > 0, shares, 0.0)
    exponents = tl.where(present > 0, along * alpha, -1e30)
    trade = tl.where(present > 0, tl.exp(exponents - tl.max(exponents, axis=0)) * present, 0.0)
    trade = trade * (tl.sum(present, axis=0) / tl.maximum(tl.sum(trade, axis=0), TINY))
    tl.store(weights_pointer + i, tl.sum(coefficients * trade[:, None], axis=0), mask=i < K)


@triton.jit
def gradvac_kernel(
    gram_pointer,
    shares_pointer,
    uniform_pointer,
    target_pointer,
    weights_pointer,
    beta: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write shares @ C and the new targets, as ``gradvac_coefficients``."""
    i = tl.arange(0, N)
    inside = i < K
    products = load_matrix(gram_pointer, K, N)
    shares = load_vector(shares_pointer, K, N)
    target = load_matrix(target_pointer, K, N)
    drawn = load_uniform(uniform_pointer, K, N)
    coefficients = identity(K, N)
    for _ in range(K):
        visited = tl.argmin(drawn, axis=1)
        chosen = i[None, :] == visited[:, None]
        drawn = tl.where(chosen, float("inf"), drawn)
        own = tl.sqrt(tl.maximum(tl.sum(coefficients * products, axis=1), 0.0))  # ‖g_i'‖
        square = tl.load(gram_pointer + visited * (K + 1), mask=inside, other=0.0)
        other = tl.sqrt(tl.maximum(square, 0.0))
        size = own * other
        angled = (visited != i) & (size > 0)
        cosine = tl.sum(tl.where(chosen, products, 0.0), axis=1) / tl.maximum(size, TINY)
        cosine = tl.minimum(tl.maximum(cosine, -1.0), 1.0)
        goal = tl.sum(tl.where(chosen, target, 0.0), axis=1)
        sine = tl.sqrt(1.0 - cosine * cosine)
        goal_sine = tl.sqrt(tl.maximum(1.0 - goal * goal, LEAST))
        amount = own * (goal * sine - cosine * goal_sine) / tl.maximum(other * goal_sine, TINY)
        amount = tl.where(angled & (cosine < goal), amount, 0.0)
        coefficients += tl.where(chosen, amount[:, None], 0.0)
        products += amount[:, None] * load_rows(gram_pointer, visited, K, N)
        seen = tl.where(angled, goal + (cosine - goal) * beta, goal)
        target = tl.where(chosen, seen[:, None], target)
    tl.store(weights_pointer + i, tl.sum(coefficients * shares[:, None], axis=0), mask=inside)
    both = inside[:, None] & inside[None, :]
    tl.store(target_pointer + i[:, None] * K + i[None, :], target, mask=both)
