"""Finds CAGrad's direction in one launch, from the Gram matrix to the weights."""

from __future__ import annotations

import triton
import triton.language as tl

from mtrl.aggregators._kernels.linalg import (
    TINY,
    add_diagonal,
    diagonal,
    inverse,
    inverse_and_pivot,
    load_matrix,
    load_vector,
    scaled_to_one,
    times,
    unit_cosines,
)

STEP_BACK = tl.constexpr(0.99)
CONVERGED = tl.constexpr(1e-8)
INACTIVE = tl.constexpr(1e-7)
SGD_STEPS = tl.constexpr(20)


@triton.jit
def max_min_in_ball(offsets, gram, iterations: tl.constexpr, K: tl.constexpr, N: tl.constexpr):
    """Solve  max_y min_i (offsets + gram y)_i  subject to  yᵀ gram y <= 1.

    With gram = F Fᵀ and u = Fᵀy this takes the reference's steps in exact arithmetic, without F: Newton's
    method does not depend on coordinates. With D the ratios w/slack and ν the ball's multiplier, a system in
    Fᵀ D F + ν I becomes one in  gram + ν D⁻¹; z and the ball's curvature are two scalars beside it.
    """
    inside = tl.arange(0, N) < K
    one = tl.where(inside, 1.0, 0.0).to(tl.float64)
    lowest = tl.min(tl.where(inside, offsets, float("inf")), axis=0) - 1.0
    y = 0.0 * one
    product = 0.0 * one  # gram y
    slack = tl.where(inside, offsets - lowest, 1.0)
    room = 0.5 + 0.0 * lowest  # the ball's slack
    w = tl.where(inside, one / K, 1.0)
    nu = 2.0 / K + 0.0 * lowest
    total = tl.sum(one * w * slack, axis=0) + nu * room
    left = tl.full([], iterations, tl.int32)
    while (left > 0) & (total > CONVERGED) & (nu > INACTIVE):
        inverse_ratio = slack / w
        curve = nu / room
        inverted = inverse(add_diagonal(gram, one * nu * inverse_ratio, N), K, N)
        b = times(inverted, one)
        e = times(inverted, inverse_ratio * y)
        sum_y = tl.sum(y, axis=0)
        missed = 0.5 - 0.5 * tl.sum(y * product, axis=0) - room
        sum_b = nu * tl.sum(b, axis=0)
        sigma = tl.sum(product * b, axis=0)
        bent = 1.0 + curve * tl.sum(product * e, axis=0)
        determinant = sum_b * bent + curve * sigma * sigma

        # Predictor: straight at μ = 0. Slacks change by relative, multipliers fall by 1 + relative.
        first = 1.0 + curve * missed * sigma
        second = missed * (bent - 1.0)
        rise_z = (first * bent - curve * sigma * second) / determinant
        kappa = (sum_b * second + sigma * first) / determinant
        outward = curve * (missed - kappa)
        step = outward * e + rise_z * b
        # gram step, since gram e and gram b are the right sides of two systems less their diagonals.
        rise = inverse_ratio * (outward * (y - nu * e) - rise_z * nu * b)
        along = one * (rise + rise_z)
        rise_room = missed - kappa
        relative = rise / slack
        relative_room = rise_room / room
        reach = tl.max(tl.where(inside, tl.abs(relative + 0.5), 0.0), axis=0)
        reach = tl.maximum(reach, tl.abs(relative_room + 0.5)) + 0.5
        length = 1.0 / tl.maximum(reach, 1.0)
        squared = length * length
        spent_room = nu + nu * relative_room
        bend = 0.5 * nu * tl.sum(step * along, axis=0)  # the ball's slack is quadratic
        curved = one * squared * (w + w * relative) * rise
        curved_room = squared * (bend + spent_room * rise_room)
        rest = 1.0 - length - (tl.sum(curved, axis=0) + curved_room) / total
        rest = tl.minimum(tl.maximum(rest, 0.0), 1.0)
        centre = rest * rest * rest * total / (K + 1)
        target = centre + curved
        target_room = centre + curved_room

        # Corrector: back to the central path, with the predictor's curvature taken into account.
        outward = target_room / room - curve * missed
        pulled = squared * spent_room
        right = one * (target / slack) + pulled * step - outward * y
        a = times(inverted, inverse_ratio * right)
        first = 1.0 + pulled * tl.sum(step, axis=0) - outward * sum_y - nu * tl.sum(a, axis=0)
        second = tl.sum(product * a, axis=0)
        rise_z = (first * bent - curve * sigma * second) / determinant
        kappa = (sum_b * second + sigma * first) / determinant
        step = a + rise_z * b - curve * kappa * e
        along = times(gram, step)
        rise = along - rise_z
        rise_room = missed - tl.sum(product * step, axis=0)
        change = (target - w * rise) / slack - w
        change_room = (target_room - nu * rise_room) / room - nu
        steepest = tl.max(tl.where(inside, tl.maximum(-rise / slack, -change / w), 0.0), axis=0)
        steepest = tl.maximum(steepest, tl.maximum(-rise_room / room, -change_room / nu))
        # No further than the ball's radius, where the linearised ball means something.
        radius = tl.sqrt(tl.maximum(tl.sum(step * along, axis=0), 0.0))
        length = (1.0 / tl.maximum(tl.maximum(steepest, radius), STEP_BACK)) * STEP_BACK
        slack_after = tl.where(inside, slack + length * rise, 1.0)
        w_after = tl.where(inside, w + length * change, 1.0)
        room_after = room + length * rise_room
        nu_after = nu + length * change_room
        total_after = tl.sum(one * w_after * slack_after, axis=0) + nu_after * room_after
        usable = (length > 0) & (total_after == total_after)  # a failed inverse yields NaN
        y = tl.where(usable, y + length * step, y)
        product = tl.where(usable, product + length * along, product)
        slack = tl.where(usable, slack_after, slack)
        w = tl.where(usable, w_after, w)
        room = tl.where(usable, room_after, room)
        nu = tl.where(usable, nu_after, nu)
        total = tl.where(usable, total_after, 0.0)  # what failed would fail again
        left -= 1
    radius = tl.sqrt(tl.maximum(tl.sum(y * product, axis=0), 1.0))
    return y / radius, one * w


@triton.jit
def cagrad_kernel(
    gram_pointer,
    shares_pointer,
    weights_pointer,
    K: tl.constexpr,
    c: tl.constexpr,
    scale: tl.constexpr,
    N: tl.constexpr,
):
    """Write v with d = Gᵀv, as ``solve_cagrad``, times ``scale``."""
    i = tl.arange(0, N)
    inside = i < K
    gram = scaled_to_one(load_matrix(gram_pointer, K, N), K, N)
    shares = load_vector(shares_pointer, K, N)
    towards_mean = times(gram, shares)
    radius = tl.sqrt(tl.maximum(tl.sum(shares * towards_mean, axis=0), 0.0)) * c
    norms, inverse_norms, cosine, one = unit_cosines(gram, K, N)
    # As ``ball_coordinates``; with C the cosines,  C (C + ρ)⁻¹ C = C − ρ + ρ² (C + ρ)⁻¹.
    ridge = tl.full([], 1e-10, tl.float64) * K
    _, smallest = inverse_and_pivot(add_diagonal(cosine, one * (0.5 * ridge), N), K, N)
    while (smallest <= 0) & (ridge < 1e-5 * K):
        ridge = tl.where(ridge < 1e-8 * K, 1e-7, 1e-4).to(tl.float64) * K
        _, smallest = inverse_and_pivot(add_diagonal(cosine, one * (0.5 * ridge), N), K, N)
    inverted = inverse(add_diagonal(cosine, one * ridge, N), K, N)
    inner = add_diagonal(cosine, -one * ridge, N) + ridge * ridge * inverted
    unit = tl.max(tl.abs(towards_mean), axis=0) + radius * tl.max(norms, axis=0)
    unit = tl.maximum(unit, TINY)
    lengths = norms * (radius / unit)
    offsets = tl.where(norms > 0, towards_mean / unit, 2.0)  # the others stay below 1
    ball = lengths[:, None] * inner * lengths[None, :]
    y, _ = max_min_in_ball(offsets, ball, 14 + K // 16, K, N)
    v = lengths * y
    for _ in range(2):  # the second time removes what rounding leaves of combinations that vanish
        v = v - times(inverted, v) * ridge
    tl.store(weights_pointer + i, (shares + radius * inverse_norms * v) * scale, mask=inside)


@triton.jit
def cagrad_sgd_kernel(
    gram_pointer,
    shares_pointer,
    weights_pointer,
    c: tl.constexpr,
    scale: tl.constexpr,
    learning_rate: tl.constexpr,
    K: tl.constexpr,
    N: tl.constexpr,
):
    """Write ``cagrad_weights_sgd``, times ``scale``."""
    i = tl.arange(0, N)
    inside = i < K
    gram, mean = load_matrix(gram_pointer, K, N), load_vector(shares_pointer, K, N)
    own = diagonal(gram, N)
    counted = tl.where(mean > 0, 1.0, 0.0).to(tl.float64)
    norm = tl.sum(counted * tl.sqrt(tl.maximum(own, 0.0)), axis=0) / tl.maximum(tl.sum(counted, axis=0), 1.0)
    scaled = gram / tl.maximum(norm * norm, TINY)
    towards_mean = times(scaled, mean)
    square = tl.maximum(tl.sum(mean * towards_mean, axis=0), 0.0)
    radius = tl.sqrt(square + 1e-4) * c
    logits = tl.where(inside, tl.where(own > 0, 0.0, -1e30), -float("inf")).to(tl.float64)
    velocity = 0.0 * mean
    best = mean
    best_value = tl.full([], float("inf"), tl.float64)
    for _ in range(SGD_STEPS + 1):
        raised = tl.exp(logits - tl.max(logits, axis=0))
        w = raised / tl.sum(raised, axis=0)
        product = times(scaled, w)
        norm = tl.sqrt(tl.maximum(tl.sum(w * product, axis=0) + 1e-4, 1e-4))
        value = tl.sum(w * towards_mean, axis=0) + radius * norm
        best = tl.where(value < best_value, w, best)
        best_value = tl.minimum(value, best_value)
        slope = towards_mean + radius * product / norm
        velocity = 0.5 * velocity + w * (slope - tl.sum(w * slope, axis=0))
        logits = logits - velocity * learning_rate
    product = tl.maximum(tl.sum(best * times(scaled, best), axis=0), 0.0)
    surface = tl.sqrt(square / tl.maximum(product, TINY)) * c
    length = tl.minimum(radius / (tl.sqrt(product + 1e-4) + 1e-4), surface)
    tl.store(weights_pointer + i, (mean + length * best) * scale, mask=inside)
