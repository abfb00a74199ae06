"""Makes the object that a ``_target_`` names, in configurations that a stranger may have written.

Hydra's ``instantiate`` calls whatever a configuration names. Here each place takes classes of one contract,
and all names of a tree are checked before the first object is made. docs/reliability.md has the rule.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any

from torch import nn

from mtrl.config.allowed_classes import CONTRACTS, Contract
from mtrl.errors import UsageError, require
from mtrl.lookup import find_named

TARGET, PARTIAL = "_target_", "_partial_"
PYTHON = "_python_"  # marks what was given from Python and has no name that a configuration could state
NOTHING: Mapping[str, Any] = {}


def build(leaf: str, node: Any, objects: Mapping[str, Any] = NOTHING, **facts: Any) -> Any:
    """The object that a tree of plain values describes.

    Args:
        leaf: the tree's place: env, agent or aggregator, or an aggregator's of one side.
        node: the tree.
        objects: what Python gave for places of the tree, by their dotted names.
        facts: what the run adds to its options, those of the place's contract.

    Raises:
        UsageError: for a class, an option or a value that its place does not take.
    """
    try:
        return _check(node, leaf, CONTRACTS[leaf], objects)(**facts)
    except _PlacedError as error:
        raise UsageError(str(error)) from error.__cause__


class _PlacedError(UsageError):
    """A user's error that says where in the configuration it is."""


@dataclass(frozen=True)
class _Recipe:
    """A checked class with its options; called with the facts of its contract it makes the object."""

    place: str
    contract: Contract
    target: Any
    options: dict[str, Any]
    parts: dict[str, _Recipe]

    def __call__(self, *positional: Any, **facts: Any) -> Any:
        parts = {name: part if part.contract.deferred else part() for name, part in self.parts.items()}
        with _one_line(self.place):
            return self.target(*positional, **self.options, **parts, **facts)


def _check(node: Any, place: str, contract: Contract, objects: Mapping[str, Any]) -> _Recipe:
    require(isinstance(node, dict) and TARGET in node, f"{place} must have a {TARGET}, found {node!r}")
    if place in objects:
        return _given(objects[place], f"{place} ({node[TARGET]})", contract)
    require(
        PYTHON not in node,
        f"{place} is {node[TARGET]}, which was given from Python and has no name to find it by: go on there, "
        "with the same objects, by mtrl.Experiment(..., run_dir=..., resume=True)",
    )
    deferred = node.get(PARTIAL, False)
    require(
        deferred is contract.deferred,
        f"{place}.{PARTIAL} must be {str(contract.deferred).lower()}, found {deferred!r}",
    )
    target = _resolve(node[TARGET], f"{place}.{TARGET}", contract)
    options, parts = {}, {}
    for name, value in node.items():
        if name in (TARGET, PARTIAL):
            continue
        inner = f"{place}.{name}"
        require(name not in contract.keywords, f"{inner} follows from the rest of the run: remove it")
        if isinstance(value, dict) and TARGET in value and (wanted := contract.parts(name)) is not None:
            parts[name] = _check(value, inner, wanted, objects)
        else:
            options[name] = value
    _require_plain(options, place)
    described = f"{place} ({node[TARGET]})"
    _require_options(described, target, contract, options, parts)
    return _Recipe(described, contract, target, options, parts)


def _given(value: Any, described: str, contract: Contract) -> _Recipe:
    """A recipe for what Python gave: an object, or a callable that makes one and may have no name."""

    def make(*positional: Any, **facts: Any) -> Any:
        if contract.made(value):
            return copy.deepcopy(value) if isinstance(value, nn.Module) else value  # modules hold state
        made = value(*positional, **facts)
        require(contract.made(made), f"must make an object of {contract}; it made {type(made).__name__}")
        return made

    if not contract.made(value):
        _require_options(described, value, contract, {}, {})
    return _Recipe(described, contract, make, {}, {})


def _require_options(
    described: str, target: Any, contract: Contract, options: dict[str, Any], parts: dict[str, _Recipe]
) -> None:
    """Raise for an option that the class does not have, or one that it lacks."""
    with _one_line(described):
        if isinstance(target, partial):  # whose signature would not say which argument is wrong
            inspect.signature(target.func).bind_partial(*target.args, **target.keywords)
        named = dict.fromkeys((*contract.keywords, *parts))
        inspect.signature(target).bind(*[None] * contract.positional, **named, **options)


def _resolve(name: Any, place: str, contract: Contract) -> Any:
    """What a name stands for. This imports its module, which therefore must be one that is installed here."""
    found = find_named(name, place, contract)
    require(contract.holds(found), f"{place} must be {contract}, found {name!r}")
    return found


def _require_plain(value: Any, place: str) -> None:
    """Raise if anything in ``value`` has a name that Hydra would obey, such as _target_ or _args_."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        inner = f"{place}.{name}"
        special = isinstance(name, str) and name.startswith("_") and name.endswith("_")
        require(not special, f"{inner} has no meaning here: remove it")
        _require_plain(item, inner)


@contextmanager
def _one_line(place: str) -> Iterator[None]:
    """A user's error for arguments that a class does not take."""
    try:
        yield
    except _PlacedError:
        raise
    except UsageError as error:
        raise _PlacedError(f"{place.split()[0]}: {error}") from error
    except TypeError as error:
        frame = extract_tb(error.__traceback__)[-1]
        inside = frame.filename not in (__file__, inspect.__file__)
        where = f" ({Path(frame.filename).name}, line {frame.lineno})" if inside else ""
        raise _PlacedError(f"{place}: {error}{where}") from error
