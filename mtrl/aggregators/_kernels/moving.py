"""Moves the state of methods that keep a few numbers for each task, and gives weights, in one launch each."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import TINY, load_vector

SMALLEST = tl.constexpr(2.2250738585072014e-308)  # normal number
FIRST, SECOND = tl.constexpr(0.9), tl.constexpr(0.999)
EPSILON = tl.constexpr(1e-8)
MIN_RATIO = tl.constexpr(1e-3)


@triton.jit
def smoothing_kernel(
    fresh_pointer,
    shares_pointer,
    smoothed_pointer,
    seen_pointer,
    steps_pointer,
    weights_pointer,
    alpha: tl.constexpr,
    scheduled: tl.constexpr,
    rate_decay: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move CR-MOGM's smoothed weights and its count of steps, and write what it uses."""
    i = tl.arange(0, N)
    fresh, shares = load_vector(fresh_pointer, K, N), load_vector(shares_pointer, K, N)
    smoothed = load_vector(smoothed_pointer, K, N)
    usable = shares > 0
    seen = tl.load(seen_pointer + i, mask=i < K, other=0) != 0
    number = tl.load(steps_pointer) + 1
    steps = number.to(tl.float64)
    change = tl.where(usable, fresh / tl.where(usable, shares, 1.0) - smoothed, 0.0)
    rate = tl.full([], 1.0, tl.float64) - alpha
    if scheduled:
        distance = tl.sum(tl.where(seen, tl.abs(change) * shares, 0.0), axis=0)
        rate = tl.exp(tl.log(steps) * (-rate_decay)) / tl.maximum(steps * distance, 1.0)
    smoothed += tl.where(seen, rate, 1.0) * change
    tl.store(smoothed_pointer + i, smoothed, mask=i < K)
    tl.store(seen_pointer + i, seen | usable, mask=i < K)
    tl.store(steps_pointer, number)
    tl.store(weights_pointer + i, smoothed * shares, mask=i < K)


@triton.jit
def famo_kernel(
    losses_pointer,
    shares_pointer,
    logits_pointer,
    moments_pointer,
    steps_pointer,
    previous_pointer,
    lowest_pointer,
    seen_pointer,
    weights_pointer,
    learning_rate: tl.constexpr,
    decay: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move FAMO's logits by Adam, and what it remembers of the losses, and write its weights."""
    i = tl.arange(0, N)
    inside = i < K
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares, logits = load_vector(shares_pointer, K, N), load_vector(logits_pointer, K, N)
    previous, lowest = load_vector(previous_pointer, K, N), load_vector(lowest_pointer, K, N)
    seen = tl.load(seen_pointer + i, mask=inside, other=0) != 0
    mean, square = load_vector(moments_pointer, K, N), load_vector(moments_pointer + K, K, N)
    usable = shares > 0
    lowest = tl.minimum(lowest, tl.where(usable, losses, 0.0))
    shift = tl.where(lowest < 0, 1.0 - lowest, 0.0) + EPSILON
    moves = usable & seen
    after = tl.where(usable, losses + shift, 1.0)
    fall = tl.log(tl.where(moves, previous + shift, 1.0)) - tl.where(moves, tl.log(after), 0.0)
    z = _softmax(logits, moves)
    zero = 0.0 * shares
    slope = z * (fall - tl.sum(z * fall, axis=0)) + logits * decay
    mean = tl.where(moves, mean + (slope - mean) * (1.0 - FIRST), mean)
    square = tl.where(moves, square + (slope * slope - square) * (1.0 - SECOND), square)
    number = tl.load(steps_pointer + i, mask=inside, other=0) + tl.where(moves, 1, 0)
    steps = tl.maximum(number, 1).to(tl.float64)
    size = tl.sqrt(square / (1.0 - tl.exp(tl.log(zero + SECOND) * steps))) + EPSILON
    step = mean / (1.0 - tl.exp(tl.log(zero + FIRST) * steps)) / size * learning_rate
    logits -= tl.where(moves, step, 0.0)
    weights = _softmax(logits, usable) / after
    weights = weights / tl.maximum(tl.sum(weights, axis=0), SMALLEST)
    tl.store(weights_pointer + i, weights, mask=inside)
    tl.store(logits_pointer + i, logits, mask=inside)
    tl.store(moments_pointer + i, mean, mask=inside)
    tl.store(moments_pointer + K + i, square, mask=inside)
    tl.store(steps_pointer + i, number, mask=inside)
    tl.store(lowest_pointer + i, lowest, mask=inside)
    tl.store(previous_pointer + i, tl.where(usable, losses, previous), mask=inside)
    tl.store(seen_pointer + i, usable, mask=inside)


@triton.jit
def gradnorm_kernel(
    gram_pointer,
    losses_pointer,
    shares_pointer,
    task_weights_pointer,
    first_pointer,
    seen_pointer,
    weights_pointer,
    alpha: tl.constexpr,
    learning_rate: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move GradNorm's task weights and first losses, and write the weights of before."""
    i = tl.arange(0, N)
    inside = i < K
    square = tl.load(gram_pointer + i * (K + 1), mask=inside, other=0.0)
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares, before = load_vector(shares_pointer, K, N), load_vector(task_weights_pointer, K, N)
    first = load_vector(first_pointer, K, N)
    seen = tl.load(seen_pointer + i, mask=inside, other=0) != 0
    usable = shares > 0
    first = tl.where(seen, first, tl.where(usable, losses, first))
    used = tl.where(usable, before, 0.0)
    tl.store(weights_pointer + i, used / tl.maximum(tl.sum(used, axis=0), TINY), mask=inside)
    tl.store(first_pointer + i, first, mask=inside)
    tl.store(seen_pointer + i, seen | usable, mask=inside)

    ratios = losses / tl.where(first == 0, TINY, first)
    ratios = tl.where(inside, tl.minimum(tl.maximum(ratios, MIN_RATIO), 1000.0), 0.0)
    norms = tl.sqrt(square)
    moves = norms > 0
    count = tl.maximum(tl.sum(tl.where(moves, 1.0, 0.0).to(tl.float64), axis=0), 1.0)
    relative = norms / tl.maximum(tl.sum(norms, axis=0) / count, TINY)
    weighted = before * relative
    rate = ratios / tl.maximum(tl.sum(tl.where(moves, ratios, 0.0), axis=0) / count, TINY)
    powered = tl.where(moves, tl.exp(tl.log(tl.maximum(rate, TINY)) * alpha), 0.0)
    over = weighted - tl.sum(weighted, axis=0) / count * powered
    sign = tl.where(over > 0, 1.0, tl.where(over < 0, -1.0, 0.0))
    moved = tl.where(moves, tl.maximum(before - sign * relative * learning_rate, MIN_RATIO), 0.0)
    kept = tl.sum(tl.where(moves, before, 0.0), axis=0) / tl.maximum(tl.sum(moved, axis=0), TINY)
    tl.store(task_weights_pointer + i, tl.where(moves, moved * kept, before), mask=inside)


@triton.jit
def uncertainty_kernel(
    losses_pointer,
    shares_pointer,
    log_variance_pointer,
    weights_pointer,
    learning_rate: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move the log-variances, and write the weights of before."""
    i = tl.arange(0, N)
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares, before = load_vector(shares_pointer, K, N), load_vector(log_variance_pointer, K, N)
    precision = tl.exp(-before)
    slope = 0.5 * (1.0 - precision * tl.abs(losses))
    slope = tl.minimum(tl.maximum(slope, -1.0), 1.0)
    after = before - slope * learning_rate
    after = tl.where(shares > 0, tl.minimum(tl.maximum(after, -10.0), 10.0), before)
    tl.store(weights_pointer + i, shares * precision, mask=i < K)
    tl.store(log_variance_pointer + i, after, mask=i < K)


@triton.jit
def stch_kernel(
    losses_pointer,
    shares_pointer,
    ideal_pointer,
    weights_pointer,
    mu: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Move STCH's ideal losses, and write its weights."""
    i = tl.arange(0, N)
    losses = load_vector(losses_pointer, K, N).to(tl.float64)
    shares, ideal = load_vector(shares_pointer, K, N), load_vector(ideal_pointer, K, N)
    ideal = tl.where(shares > 0, tl.minimum(ideal, losses), ideal)
    tl.store(ideal_pointer + i, ideal, mask=i < K)
    exponents = tl.where(shares > 0, (losses - ideal) / mu, -float("inf"))
    highest = tl.max(exponents, axis=0)
    raised = shares * tl.exp(exponents - tl.where(highest > -float("inf"), highest, 0.0))
    raised = raised / tl.maximum(tl.sum(raised, axis=0), SMALLEST)
    tl.store(weights_pointer + i, raised, mask=i < K)


@triton.jit
def _softmax(logits, chosen):
    """Take the softmax of the ``chosen``, zeros elsewhere, also where none is."""
    highest = tl.max(tl.where(chosen, logits, -float("inf")), axis=0)
    raised = tl.where(chosen, tl.exp(tl.where(chosen, logits - highest, 0.0)), 0.0)
    return raised / tl.maximum(tl.sum(raised, axis=0), SMALLEST)
