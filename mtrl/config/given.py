"""Turns what Python gives for the parts of a run into overrides, and keeps aside what has no name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from mtrl.config.allowed_classes import CONTRACTS, Contract
from mtrl.config.compose import compose_config
from mtrl.config.given_classes import is_importable, parameters, public_name, require_suite, with_names
from mtrl.config.instantiate import PARTIAL, PYTHON, TARGET
from mtrl.config.literals import literal
from mtrl.errors import require
from mtrl.path_overrides import quoted
from mtrl.types import SuiteSpec

PRESET = "preset"  # the key by which a part's options name the choice that they change
NO_OPTIONS = ("training", "num_tasks", "spec")  # attributes of every aggregator and suite


@dataclass
class Given:
    """Overrides, and what takes the place of their outcome.

    Args:
        overrides: for the composition.
        nodes: what was given as objects and mappings, as a configuration has it, by dotted places.
        objects: those that no configuration can name, by their dotted places.
    """

    overrides: list[str] = field(default_factory=list)
    nodes: dict[str, Any] = field(default_factory=dict)
    objects: dict[str, Any] = field(default_factory=dict)

    def place_in(self, config: DictConfig) -> None:
        """Put the nodes into a composed configuration."""
        for place, node in self.nodes.items():
            OmegaConf.update(config, place, node, merge=False, force_add=True)


def give(parts: Mapping[str, Any], options: Mapping[str, Any], experiment: str | None = None) -> Given:
    """What a caller gave, checked as far as that needs no composition of all of it.

    Args:
        parts: by their names: the name of a preset, options of one, a class, a ``functools.partial`` of one,
            or an object; None for what is not given.
        options: of the loop, by their names.
        experiment: the name of a preset of all of them.

    Raises:
        UsageError: for an object that its place does not take.
    """
    chosen = {"experiment": experiment} | {part: _preset(value) for part, value in parts.items()}
    given = Given([f"{part}={literal(name)}" for part, name in chosen.items() if name is not None])
    mappings = {part: value for part, value in parts.items() if isinstance(value, Mapping)}
    presets: Any = OmegaConf.to_container(compose_config(given.overrides)) if mappings else {}
    for part, value in parts.items():
        if part in mappings:
            changed = {name: option for name, option in value.items() if name != PRESET}
            _give_options(given, part, changed, presets.get(part) or {})
        elif value is not None and not isinstance(value, str):
            _give_object(given, part, value, CONTRACTS[part])
    given.overrides += [f"{name}={_literal(name, value)}" for name, value in options.items()]
    return given


def _preset(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(PRESET)
    return value if isinstance(value, str) else None


def _give_options(given: Given, place: str, options: Mapping[str, Any], preset: Mapping[str, Any]) -> None:
    """Add options of the class whose tree in the preset is ``preset``."""
    leaf = place.partition(".")[0]
    target = options.get(TARGET, preset.get(TARGET))
    for name, found in options.items():
        valid = isinstance(name, str) and name != ""
        require(valid, f"{place} must have names for its options, found {name!r}")
        option = name.removeprefix("+")
        inner = f"{place}.{option}"
        listed = option in preset or not (name != option or option in parameters(target, place))
        override = f"{'' if listed else '+'}{inner}"  # as in commands
        contract, held = CONTRACTS[leaf].parts(option), preset.get(option)
        value = with_names(inner, found) if leaf == "env" else found
        if isinstance(value, Mapping) and isinstance(held, Mapping):
            _give_options(given, inner, value, held)
        elif isinstance(value, Mapping):
            given.overrides.append(f"{override}=null")  # which fails for an option that is none
            given.nodes[inner] = _plain(inner, value)  # names of environments are no keys of an override
        elif contract is not None and _is_object(value):
            given.overrides.append(f"{override}=null")
            _give_object(given, inner, _with_options_of(held, value), contract)
        else:
            given.overrides.append(f"{override}={_literal(inner, value)}")


def _with_options_of(preset: Any, value: Any) -> Any:
    """A class in the place of the preset's keeps those of its options that it has too, such as ``hidden``."""
    if not (isinstance(value, type) and isinstance(preset, Mapping)):
        return value
    own = inspect.signature(value).parameters
    kept = {name: option for name, option in preset.items() if name in own and is_plain(option)}
    return partial(value, **kept)


def _give_object(given: Given, place: str, value: Any, contract: Contract) -> None:
    kind = value.func if isinstance(value, partial) else value
    if place == "env":
        require_suite(kind)
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


def _plain(name: str, value: Any) -> Any:
    require(is_plain(value), f"{name} must be a number, a text, a list of them or null, found {value!r}")
    return plain(value)


def _literal(name: str, value: Any) -> str:
    found = _plain(name, value)
    return quoted(found) if isinstance(found, str) else literal(found)
