"""Weighs tasks by their losses, and moves what is kept of these, in one launch each."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import load_vector

SMALLEST = tl.constexpr(2.2250738585072014e-308)  # normal number
MIN_LOSS = tl.constexpr(1e-8)
MAX_RATIO = tl.constexpr(1e3)


@triton.jit
def dwa_kernel(
    losses_pointer,
    shares_pointer,
    sums_pointer,
    counts_pointer,
    newer_pointer,
    older_pointer,
    calls_pointer,
    weights_pointer,
    temperature: tl.constexpr,
    epoch: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write DWA's weights from the last two averages, and move these where an epoch ends."""
    i = tl.arange(0, N)
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares = load_vector(shares_pointer, K, N)
    newer, older = load_vector(newer_pointer, K, N), load_vector(older_pointer, K, N)
    usable = shares > 0
    known = (newer != 0) & (older != 0)
    ratios = tl.where(known, newer, 1.0) / tl.where(known, older, 1.0)
    ratios = tl.minimum(tl.maximum(ratios, -MAX_RATIO), MAX_RATIO)
    exponents = tl.where(usable, ratios / temperature, -float("inf"))
    highest = tl.max(exponents, axis=0)
    raised = shares * tl.exp(exponents - tl.where(highest > -float("inf"), highest, 0.0))
    weights = raised / tl.maximum(tl.sum(raised, axis=0), SMALLEST)
    tl.store(weights_pointer + i, weights, mask=i < K)

    calls = tl.load(calls_pointer) + 1
    sums = load_vector(sums_pointer, K, N) + tl.where(usable, losses, 0.0)
    counts = load_vector(counts_pointer, K, N) + tl.where(usable, 1.0, 0.0)
    over = calls % epoch == 0
    ends = over & (counts > 0)
    tl.store(older_pointer + i, tl.where(ends, newer, older), mask=i < K)
    tl.store(newer_pointer + i, tl.where(ends, sums / tl.maximum(counts, 1.0), newer), mask=i < K)
    tl.store(sums_pointer + i, tl.where(over, 0.0, sums), mask=i < K)
    tl.store(counts_pointer + i, tl.where(over, 0.0, counts), mask=i < K)
    tl.store(calls_pointer, calls)


@triton.jit
def gls_kernel(losses_pointer, shares_pointer, weights_pointer, K: tl.constexpr, N: tl.constexpr):
    """Write GLS's weights."""
    i = tl.arange(0, N)
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares = load_vector(shares_pointer, K, N)
    sizes = tl.maximum(tl.abs(losses), MIN_LOSS)
    mean = tl.exp(tl.sum(tl.where(shares > 0, shares * tl.log(sizes), 0.0), axis=0))
    tl.store(weights_pointer + i, tl.where(shares > 0, shares / sizes * mean, 0.0), mask=i < K)


@triton.jit
def imtl_l_kernel(
    losses_pointer,
    shares_pointer,
    log_scale_pointer,
    weights_pointer,
    learning_rate: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move IMTL-L's scales, and write the weights of before."""
    i = tl.arange(0, N)
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares, before = load_vector(shares_pointer, K, N), load_vector(log_scale_pointer, K, N)
    slope = tl.exp(before) * tl.abs(losses) - 1.0
    after = before - tl.minimum(tl.maximum(slope, -1.0), 1.0) * learning_rate
    after = tl.where(shares > 0, tl.minimum(tl.maximum(after, -10.0), 10.0), before)
    tl.store(weights_pointer + i, shares * tl.exp(before), mask=i < K)
    tl.store(log_scale_pointer + i, after, mask=i < K)
