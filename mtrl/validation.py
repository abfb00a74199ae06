"""Checks the values of options; every message names the option, the rule and the value found."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

from mtrl.errors import require

MAX_FLOAT, MAX_INTEGER = 3e38, 2**63 - 1  # the largest that fit into tensors of float32 and int64
MAX_BATCH_SIZE = 2**20  # transitions of each task
MAX_STEPS = 10**12  # a million a second for eleven days


def require_number(
    name: str, value: Any, *, above: float = -math.inf, low: float = -math.inf, high: float = math.inf,
    remedy: str = "",
) -> float:  # fmt: skip
    """Give ``value`` as a number of Python, an integer where it is one: NumPy's are numbers too.

    Raises:
        UsageError: unless it is finite with above < value and low <= value <= high.
    """
    rules = ["finite"]
    rules += [f"greater than {above:g}"] if above > -math.inf else []
    rules += [f"at least {low:g}"] if low > -math.inf else []
    rules += [f"at most {high:g}"] if high < math.inf else []
    found = value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        value = int(value) if isinstance(value, numbers.Integral) else float(value)
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
    limit = MAX_INTEGER if isinstance(value, int) else MAX_FLOAT
    if number and abs(value) > limit:
        rules.append(f"no larger than a tensor takes, {limit:g}")
    holds = number and abs(value) <= limit and value > above and low <= value <= high
    end = f"; {remedy}" if remedy else ""
    require(holds, f"{name} must be a number, {' and '.join(rules)}; found {_shown(found)}{end}")
    return value if isinstance(value, int) else float(value)


def require_integer(name: str, value: Any, low: int, high: int, remedy: str = "") -> int:
    """Give ``value`` as an integer of Python; NumPy's are integers too.

    Raises:
        UsageError: unless it is one from ``low`` to ``high``.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    end = f"; {remedy}" if remedy else ""
    message = f"{name} must be an integer from {low} to {high}, found {_shown(value)}{end}"
    require(whole and low <= value <= high, message)
    return int(value)


def require_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is one of ``choices``."""
    holds = isinstance(value, str) and value in choices
    require(holds, f"{name} must be one of {', '.join(choices)}; found {_shown(value)}")


def require_flag(name: str, value: Any, other: str = "") -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is true or false, or ``other``."""
    rule = " ".join(filter(None, ["true or false", other]))
    require(isinstance(value, bool), f"{name} must be {rule}, found {_shown(value)}")


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python prints
        text = "a number with thousands of digits"
    return text if len(text) <= 100 else text[:100] + " ..."
