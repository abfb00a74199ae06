"""Checks what a suite says of itself, which a class of a user's own may get wrong."""

from __future__ import annotations

import operator

from mtrl.errors import name_of, require
from mtrl.types import Suite, SuiteSpec

SIZES = ("obs_size", "action_size", "horizon", "num_goals")


def require_spec(suite: Suite) -> None:
    """Raise :class:`~mtrl.errors.UsageError` unless the suite's ``spec`` is one."""
    spec, name = getattr(suite, "spec", None), name_of(suite)
    missing = [field for field in SuiteSpec._fields if not hasattr(spec, field)]
    require(
        not missing,
        f"env: {name} must have an attribute spec, a mtrl.types.SuiteSpec of {', '.join(SuiteSpec._fields)}; "
        f"found {spec!r}; set it in __init__",
    )
    names = suite.spec.task_names
    texts = isinstance(names, tuple | list) and len(names) > 0
    texts = texts and all(isinstance(task, str) and task.strip() and task.isprintable() for task in names)
    require(texts, f"env: {name}.spec.task_names must be a tuple of names, each on one line, found {names!r}")
    repeated = sorted({task for task in names if names.count(task) > 1})
    require(
        not repeated,
        f"env: {name}.spec.task_names must differ from each other, found {', '.join(repeated)} more than "
        "once: results are kept by name",
    )
    for field in SIZES:
        value = getattr(spec, field)
        try:
            valid = operator.index(value) >= 1
        except TypeError:
            valid = False
        require(valid, f"env: {name}.spec.{field} must be an integer of at least 1, found {value!r}")
