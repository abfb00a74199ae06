"""Checks of hyper-parameters: every message names the method, the parameter, the rule and the value found."""

from __future__ import annotations

import math

from mtrl.errors import require


def require_number(
    owner: object, name: str, value: float, *, above: float = -math.inf, low: float = -math.inf,
    high: float = math.inf
) -> None:  # fmt: skip
    """Raise unless ``value`` is a finite number with above < value and low <= value <= high."""
    rules = ["finite"]
    rules += [f"greater than {above:g}"] if above > -math.inf else []
    rules += [f"at least {low:g}"] if low > -math.inf else []
    rules += [f"at most {high:g}"] if high < math.inf else []
    number = isinstance(value, int | float) and not isinstance(value, bool)
    holds = number and math.isfinite(value) and value > above and low <= value <= high
    method = type(owner).__name__
    require(holds, f"{method}: {name} must be a number, {' and '.join(rules)}; found {value!r}")


def require_choice(owner: object, name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    method = type(owner).__name__
    require(value in choices, f"{method}: {name} must be one of {', '.join(choices)}; found {value!r}")
