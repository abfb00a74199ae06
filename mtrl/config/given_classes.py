"""Says what a configuration may call the classes that Python gives, and what options they take."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

from mtrl.errors import UsageError, require
from mtrl.lookup import find_named


def public_name(target: Any) -> str:
    """MODULE.NAME with the outermost package that shows the class under its own name."""
    parts = str(getattr(target, "__module__", "") or "").split(".")
    name = getattr(target, "__qualname__", type(target).__qualname__)
    packages = [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
    # Not by getattr: what a package shows only when it is asked for is at home elsewhere.
    shown = [package for package in packages if name in vars(sys.modules.get(package, object))]
    same = [package for package in shown if vars(sys.modules[package])[name] is target]
    return f"{[*same, packages[-1]][0]}.{name}"


def is_importable(target: Any) -> bool:
    """Whether another process finds the same class by its name; a script's own module has another there."""
    module, _, name = public_name(target).rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    return module != "__main__" and found is target and inspect.getmodule(target) is not None


def parameters(target: Any, place: str) -> set[str]:
    """What a class of this name takes by name, itself or for its bases where it passes on all it is given."""
    if target is None:
        return set()
    found = find_named(target, f"{place}._target_", "a class")
    names: set[str] = set()
    for kind in found.__mro__ if isinstance(found, type) else (found,):
        taken = inspect.signature(kind).parameters.values()
        names |= {one.name for one in taken if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
        if not any(one.kind is one.VAR_KEYWORD for one in taken):
            break
    return names


def with_names(place: str, value: Any) -> Any:
    """Options of a suite with the names of the classes that make environments, in lists and as keys."""
    if isinstance(value, Mapping):
        return {_name(place, key): option for key, option in value.items()}
    return [_name(place, item) for item in value] if isinstance(value, list | tuple) else value


def _name(place: str, value: Any) -> Any:
    if not (isinstance(value, type) or inspect.isfunction(value)):
        return value
    require(
        is_importable(value),
        f"{place}: the processes of environments cannot find {public_name(value)} by its name; put it at the "
        "top of a module of its own, and import it from there",
    )
    return public_name(value)


def require_suite(value: Any) -> None:
    """Raise for a single environment of Gymnasium's, class or object."""
    kind = value if isinstance(value, type) else type(value)
    if any(base.__name__ == "Env" and base.__module__.split(".")[0] == "gymnasium" for base in kind.__mro__):
        raise UsageError(
            f"env must be a suite of tasks, found the Gymnasium environment {kind.__qualname__}; write "
            f'env={{"preset": "gymnasium", "tasks": [{kind.__qualname__}]}}'
        )
