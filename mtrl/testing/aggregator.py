"""Checks an aggregator of your own by one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mtrl.aggregators import Aggregator
from mtrl.errors import UsageError, require
from mtrl.testing import aggregator_directions as directions
from mtrl.testing import aggregator_masks as masks
from mtrl.testing import aggregator_programs as programs
from mtrl.testing.cases import Case
from mtrl.testing.failure import ContractError

CHECKS: dict[str, Callable[[Case], None]] = {
    "shapes": directions.shapes_and_types,
    "order": directions.order_of_tasks,
    "scale": directions.scale,
    "equal": directions.equal_gradients,
    "single": directions.single_task,
    "finite": directions.finite,
    "finished": directions.finished_task,
    "not_finite": directions.not_finite,
    "masked": masks.masked,
    "inner_products": directions.inner_products,
    "finite_path": directions.finite_path,
    "mixture": directions.any_mixture,
    "device": programs.device,
    "compile": programs.compiles,
    "state": programs.state,
    "state_of_other_tasks": programs.state_of_other_tasks,
}
EXEMPTIONS = ("scale", "masked", "device", "compile")


def check_aggregator(
    make: Callable[[int], Aggregator],
    *,
    num_tasks: int = 4,
    equal_gradients: float = 1.0,
    exempt: Iterable[str] = (),
) -> None:
    """Check all that the learners rely on, with gradients made up from fixed seeds.

    Args:
        make: builds the aggregator for a number of tasks: its class, or a ``functools.partial`` of it.
        num_tasks: K, at least 3.
        equal_gradients: the factor c for which K equal gradients g give c g.
        exempt: properties that the method's docstring says it lacks: "scale" (a multiple of all gradients
            gives the same multiple), "masked" (a task that is not finite might as well not exist), "device"
            and "compile" (nothing waits for the device, and one graph can be made of it).

    Raises:
        ContractError: saying what is broken, and why it matters.
    """
    exempt = tuple(exempt)
    unknown = sorted(set(exempt) - set(EXEMPTIONS))
    require(not unknown, f"exempt must be among {', '.join(EXEMPTIONS)}; found {', '.join(unknown)}")
    require(num_tasks >= 3, f"num_tasks must be at least 3, found {num_tasks}")
    case = Case(make, num_tasks, equal_gradients)
    for name, check in CHECKS.items():
        if name not in exempt:
            _named(check, case)
    if "scale" in exempt:
        directions.depends_on_scale(case)


def _named(check: Callable[[Case], None], case: Case) -> None:
    """Check, and name the class in what is raised."""
    try:
        check(case)
    except UsageError as error:  # of an answer that cannot be used; it names the class
        raise ContractError(str(error)) from error
    except ContractError as error:
        raise ContractError(f"{type(case.fresh()).__name__}: {error}") from error.__cause__
