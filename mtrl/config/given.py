"""Turns what Python gives for the parts of a run into overrides, and keeps aside what has no name."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from mtrl.config.allowed_classes import CONTRACTS, Contract
from mtrl.config.instantiate import PARTIAL, PYTHON, TARGET
from mtrl.config.literals import literal, quoted
from mtrl.errors import require
from mtrl.types import SuiteSpec

PRESET = "preset"  # the key by which a part's options name the choice that they change
NO_OPTIONS = ("training", "num_tasks")  # attributes of every aggregator


@dataclass
class Given:
    """Overrides, and what takes the place of their outcome.

    Args:
        overrides: for the composition.
        nodes: configurations of what was given as objects, by their dotted places.
        objects: those that no configuration can name, by their dotted places.
    """

    overrides: list[str] = field(default_factory=list)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)

    def place_in(self, config: DictConfig) -> None:
        """Put the nodes into a composed configuration."""
        for place, node in self.nodes.items():
            OmegaConf.update(config, place, node, merge=False, force_add=True)


def give(parts: Mapping[str, Any], options: Mapping[str, Any]) -> Given:
    """What a caller gave, checked as far as that needs no composition.

    Args:
        parts: by their names: the name of a preset, options of one, a class, a ``functools.partial`` of one,
            or an object; None for what is not given.
        options: of the loop, by their names.

    Raises:
        UsageError: for an object that its place does not take.
    """
    given = Given()
    for part, value in parts.items():
        if isinstance(value, Mapping):
            if PRESET in value:
                given.overrides.append(f"{part}={literal(value[PRESET])}")
            _give_options(given, part, {name: v for name, v in value.items() if name != PRESET})
        elif isinstance(value, str):
            given.overrides.append(f"{part}={literal(value)}")
        elif value is not None:
            _give_object(given, part, value, CONTRACTS[part])
    given.overrides += [f"{name}={_plain_literal(name, value)}" for name, value in options.items()]
    return given


def _give_options(given: Given, place: str, options: Mapping[str, Any]) -> None:
    leaf = place.partition(".")[0]
    for name, value in options.items():
        valid = isinstance(name, str) and name != ""
        require(valid, f"{place} must have names for its options, found {name!r}")
        new = "+" if name.startswith("+") else ""  # marks one that the preset does not list, as in commands
        inner = f"{place}.{name.removeprefix('+')}"
        contract = CONTRACTS[leaf].parts(inner.rpartition(".")[2])
        if isinstance(value, Mapping):
            _give_options(given, inner, value)
        elif contract is not None and _is_object(value):
            given.overrides.append(f"{new}{inner}=null")  # which fails for an option that is none
            _give_object(given, inner, value, contract)
        else:
            given.overrides.append(f"{new}{inner}={_plain_literal(inner, value)}")


def _give_object(given: Given, place: str, value: Any, contract: Contract) -> None:
    kind = value.func if isinstance(value, partial) else value
    if isinstance(kind, type):
        require(contract.holds(kind), f"{place} must be {contract}, found {kind.__qualname__}")
    elif contract.made(value):
        require(contract.finished, f"{place} must be {contract}, or a functools.partial of it, not an object")
    else:
        require(callable(value), f"{place} must be {contract}, or what makes one; found {value!r}")
    given.nodes[place] = _node(given.objects, place, value, contract)


def _node(objects: dict[str, Any], place: str, value: Any, contract: Contract) -> dict[str, Any]:
    """The configuration of an object; those within it that have no name are added to ``objects``."""
    kind = value.func if isinstance(value, partial) else value
    finished = not isinstance(kind, type) and contract.made(value)
    target = type(value) if finished else kind
    node: dict[str, Any] = {TARGET: public_name(target)}
    if contract.deferred:
        node[PARTIAL] = True
    given = value.keywords if isinstance(value, partial) else {}
    named = not finished and contract.holds(target) and is_importable(target)
    named &= not (isinstance(value, partial) and value.args)
    inner: dict[str, Any] = {}
    for name, option in given.items():
        wanted = contract.parts(name)
        if is_plain(option):
            node[name] = plain(option)
        elif wanted is not None and _is_object(option):
            node[name] = _node(inner, f"{place}.{name}", option, wanted)
        else:
            named = False
    if named:
        objects |= inner
        return node
    node = {name: option for name, option in node.items() if not isinstance(option, dict)}
    objects[place] = value
    return node | {PYTHON: True} | (dict(_facts(value)) if finished else {})


def _is_object(value: Any) -> bool:
    return not is_plain(value) and (callable(value) or hasattr(value, "__dict__"))


def _facts(value: Any) -> Iterator[tuple[str, Any]]:
    """What tells an object from others of its class, as far as its public attributes say it."""
    spec = getattr(value, "spec", None)
    if isinstance(spec, SuiteSpec):
        yield from (
            ("tasks", list(spec.task_names)),
            ("horizon", spec.horizon),
            ("num_goals", spec.num_goals),
        )
    for name, option in getattr(value, "__dict__", {}).items():
        if not name.startswith("_") and name not in NO_OPTIONS and is_plain(option):
            yield name, plain(option)


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


def is_plain(value: Any) -> bool:
    """Whether a configuration can state the value."""
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and is_plain(item) for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str | Path | np.generic)


def plain(value: Any) -> Any:
    """It as a configuration states it: lists for tuples, Python's numbers for NumPy's."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def _plain_literal(name: str, value: Any) -> str:
    require(is_plain(value), f"{name} must be a number, a text, a list of them or null, found {value!r}")
    found = plain(value)
    return quoted(found) if isinstance(found, str) else literal(found)
