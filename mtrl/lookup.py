"""Finds what a configuration, which may be a stranger's, names as MODULE.CLASS."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from mtrl.errors import UsageError, require


def find_named(name: Any, place: str, expected: object) -> Any:
    """What ``name`` stands for; the caller judges whether it may stand there.

    Args:
        name: MODULE.CLASS.
        place: of the name in the configuration, for messages.
        expected: what the place takes, for messages.

    Raises:
        UsageError: for a name that is none, or that leads nowhere.
    """
    module, _, attribute = name.rpartition(".") if isinstance(name, str) else ("", "", "")
    require(_is_name(attribute), f"{place} must be written MODULE.CLASS, found {name!r}")
    found = getattr(import_named(module, name, place, expected), attribute, None)
    require(found is not None, f"{place}: module {module!r} has no {attribute!r}")
    return found


def import_named(module: str, name: str, place: str, expected: object) -> ModuleType:
    """The module that ``name`` begins with. This runs it, so it must be one that is installed here.

    Raises:
        UsageError: for one of Python's own library, and one that cannot be imported.
    """
    parts = module.split(".")
    require(all(map(_is_name, parts)), f"{place} must be written MODULE.CLASS, found {name!r}")
    require(
        parts[0] not in sys.stdlib_module_names,
        f"{place} must be {expected}, found {name!r}: Python's own library has none",
    )
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{place}: cannot import {module!r}: {error}; a module of your own must lie where the command "
            "is typed, and not in a run directory"
        ) from error


def _is_name(part: str) -> bool:
    return part.isidentifier() and not part.startswith("__")
