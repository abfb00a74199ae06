"""Checks the hyper-parameters of aggregators; every message names the method first."""

from __future__ import annotations

import math
from typing import Any

from mtrl import validation


def require_number(
    owner: object, name: str, value: Any, *, above: float = -math.inf, low: float = -math.inf,
    high: float = math.inf
) -> float:  # fmt: skip
    """Give ``value`` as a number of Python; raise unless above < value and low <= value <= high."""
    return validation.require_number(
        f"{type(owner).__name__}: {name}", value, above=above, low=low, high=high
    )


def require_choice(owner: object, name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless ``value`` is one of ``choices``."""
    validation.require_choice(f"{type(owner).__name__}: {name}", value, choices)
