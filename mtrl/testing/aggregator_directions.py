"""Checks what an aggregator makes of gradients, whatever it computes."""

from __future__ import annotations

import random

import torch

from mtrl.aggregators import GramAggregator
from mtrl.testing.cases import BENT, KINDS, SIZE, Case, call, losses, matrix, mixture
from mtrl.testing.failure import close, hold

DRAWS = 150  # of a random method


def shapes_and_types(case: Case) -> None:
    """The direction is [P] in the gradients' type, and is what its weights say."""
    for dtype in (torch.float32, torch.float64):
        rows = case.gradients().to(dtype)
        direction = call(case.fresh(), rows, case.losses())
        vector, weights = direction.vector, direction.weights
        hold(vector.shape == (SIZE,), f"the vector must be [P] = [{SIZE}], found {list(vector.shape)}")
        hold(vector.dtype == dtype, f"the vector must have the gradients' type {dtype}, found {vector.dtype}")
        for name, value in direction.metrics.items():
            hold(
                value.shape in ((), (case.num_tasks,)),
                f"metric {name!r} must be one number or [K], to be logged; found {list(value.shape)}",
            )
        masked = direction.metrics.get("masked_tasks")
        hold(masked is not None and bool(masked == 0), "metric 'masked_tasks' must be 0 if all are finite")
        if weights is not None:
            hold(weights.shape == (case.num_tasks,), f"weights must be [K], found {list(weights.shape)}")
            close(vector, weights @ rows, "the vector must be weights @ gradients; else give weights None")


def order_of_tasks(case: Case) -> None:
    """No task is treated otherwise for its place."""
    rows, values = case.gradients(), case.losses()
    order = torch.arange(case.num_tasks).roll(1)
    order[1:] = order[1:].roll(1)  # neither a rotation nor a reflection of the tasks
    why = "the direction must not depend on the order of the tasks"
    if not case.is_random():
        first, second = (call(case.fresh(), rows[o], values[o]).vector for o in (slice(None), order))
        close(second, first, why)
        return
    torch.manual_seed(0)
    draws: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for _ in range(DRAWS):
        draws[0].append(case.fresh()(rows, values).vector)
        draws[1].append(case.fresh()(rows[order], values[order]).vector)
    one, other = (torch.stack(sample) for sample in draws)
    error = (one.var(0) / DRAWS + other.var(0) / DRAWS).sqrt()
    apart = (one.mean(0) - other.mean(0)).abs() > 5 * error + 1e-6
    hold(not apart.any(), f"{why}, in the mean over draws up to five standard errors")


def scale(case: Case) -> None:
    """Gradients in other units give the direction in these units."""
    for factor in (1e-3, 1e4):
        plain, scaled = case.fresh(), case.fresh()
        for seed in range(3):
            rows = case.gradients(seed)
            first = call(plain, rows, case.losses(seed), seed).vector
            second = call(scaled, factor * rows, case.losses(seed), seed).vector
            why = f"gradients times {factor:g} must give the direction times {factor:g}, or exempt 'scale'"
            close(second, factor * first, why, atol=factor * 1e-5)


def depends_on_scale(case: Case) -> None:
    """An exemption from :func:`scale` is needed."""
    rows, values = case.gradients(), case.losses()
    first, second = (call(case.fresh(), f * rows, values).vector for f in (1.0, 1e-3))
    hold(
        not torch.allclose(second, 1e-3 * first, rtol=1e-2),
        "the direction scales with the gradients: take 'scale' out of exempt",
    )


def equal_gradients(case: Case) -> None:
    """K equal gradients give the multiple that the method states; 1 is the scale of the mean."""
    row = matrix(1, SIZE)
    found = call(case.fresh(), row.repeat(case.num_tasks, 1), torch.ones(case.num_tasks)).vector
    close(
        found,
        case.factor * row[0],
        f"K equal gradients g must give {case.factor:g} g: on another scale than the mean a method learns at "
        "another rate; give equal_gradients= what your docstring states",
    )


def single_task(case: Case) -> None:
    """With one task there is nothing to weigh."""
    row = matrix(1, SIZE)
    found = call(case.make(1), row, losses(1)).vector
    factor = (found @ row[0]) / row[0].square().sum()
    high = max(1.0, case.factor) + 0.01
    hold(0.99 <= factor <= high, f"one task's gradient g must give g to {high:g} g, found {factor:g} g")
    close(found, factor * row[0], "the direction of one task must be along its gradient")


def finite(case: Case) -> None:
    """Finite gradients give a finite direction and leave a finite state."""
    for name, bend in BENT.items():
        aggregator = case.fresh()
        for seed in range(2):
            found = call(aggregator, bend(case.gradients(seed)), case.losses(seed), seed).vector
            hold(found.isfinite().all(), f"the direction must be finite for gradients that are {name!r}")
        for entry, value in aggregator.state_dict().items():
            hold(value.isfinite().all(), f"state {entry!r} must stay finite for gradients that are {name!r}")


def finished_task(case: Case) -> None:
    """A gradient of zero, as of a task that is solved, does not stop the other tasks."""
    count = case.num_tasks
    rows = case.gradients()[:1].repeat(count, 1) + 0.01 * case.gradients(1)
    rows[count // 2] = 0
    aggregator = case.fresh()
    for seed in range(3):
        found = call(aggregator, rows, case.losses(), seed).vector
    kept = found @ rows[0] / rows[0].square().sum()
    hold(kept > 0.3, f"a task with gradient zero must not stop the others, found {kept:.3f} of their step")


def not_finite(case: Case) -> None:
    """A task whose gradient or loss is not finite is left out, and reaches no state."""
    for bad in (float("nan"), float("inf")):
        aggregator, clean, values = case.fresh(), case.gradients(), case.losses()
        call(aggregator, clean, values)
        broken, lost = clean.clone(), values.clone()
        broken[1, 2] = bad
        lost[1] = bad
        for what, rows, given in (("gradient", broken, values), ("loss", clean, lost)):
            why = f"where the {what} of one task is {bad},"
            direction = call(aggregator, rows, given)
            hold(direction.vector.isfinite().all(), f"{why} the direction must be finite")
            hold(direction.vector.norm() > 0, f"{why} the other tasks must go on")
            hold(direction.metrics["masked_tasks"] == 1, f"{why} metric 'masked_tasks' must be 1")
            weights = direction.weights
            hold(weights is None or bool(weights[1] == 0), f"{why} its weight must be 0")
        for entry, value in aggregator.state_dict().items():
            hold(value.isfinite().all(), f"after a task that was {bad}, state {entry!r} must be finite")
        again = call(aggregator, clean, values).vector
        hold(again.isfinite().all(), f"after a task that was {bad}, directions must be finite again")
        nothing = aggregator(clean * bad, values)
        hold(
            nothing.metrics["masked_tasks"] == case.num_tasks, "all tasks that are not finite must be masked"
        )
        hold(nothing.vector.isfinite().all(), "where no task is finite the direction must be")


def inner_products(case: Case) -> None:
    """What decides on the Gram matrix alone does not see a rotation of all gradients."""
    if not isinstance(case.fresh(), GramAggregator):
        return
    rows, values = case.gradients().double(), case.losses()
    rotation = torch.linalg.qr(matrix(SIZE, SIZE, 3).double()).Q
    first = call(case.fresh(), rows, values).vector @ rotation
    second = call(case.fresh(), rows @ rotation, values).vector
    close(second, first, "a GramAggregator must see inner products only", rtol=1e-5, atol=1e-6)


def finite_path(case: Case) -> None:
    """Wrappers call ``aggregate`` with gradients that are known to be finite."""
    rows, values = case.gradients(), case.losses()
    expected = call(case.fresh(), rows, values).vector
    shares = torch.full((case.num_tasks,), 1 / case.num_tasks, dtype=torch.float64)
    torch.manual_seed(0)
    found = case.fresh().aggregate(rows, values, shares).vector
    close(found, expected, "aggregate(gradients, losses, equal shares) must give what a call gives")


def any_mixture(case: Case) -> None:
    """Rows of all awkward kinds together."""
    draw = random.Random(0)
    for seed in range(12):
        hold_for_mixture(case, draw.choices(KINDS, k=case.num_tasks), seed)


def hold_for_mixture(case: Case, kinds: list[str], seed: int) -> None:
    """Directions are finite for rows of these kinds, and the others are counted."""
    rows = mixture(kinds, SIZE - 1, seed)
    aggregator = case.fresh()
    for _ in range(2):
        direction = aggregator(rows, case.losses(seed))
        hold(direction.vector.isfinite().all(), f"the direction must be finite for rows that are {kinds}")
        count = (~rows.isfinite().all(1)).sum()
        found = direction.metrics["masked_tasks"]
        hold(found == count, f"masked_tasks must be {count} for rows that are {kinds}, found {found}")
