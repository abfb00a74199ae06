"""Says which classes may stand at which place of a configuration, and which objects Python may give there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import get_type_hints

from torch import nn

from mtrl.agents.values import Value
from mtrl.aggregators import Aggregator
from mtrl.runs.hook import LoggerHook
from mtrl.types import Agent, Suite


def _nothing(option: str) -> Contract | None:
    return None


@dataclass(frozen=True)
class Contract:
    """What a place of the configuration takes.

    Args:
        kind: a base class, or a protocol, of which the methods count.
        keywords: facts of the run that an object is made with beside its options.
        positional: number of facts without a name, which come before them.
        deferred: whether the object around it makes it, with the facts; written as ``_partial_: true``.
        parts: the contract of an option that is an object too; None where none may be.
        finished: whether Python may give the object itself in place of its class; not where sizes that only
            the run knows go into it.
    """

    kind: type
    keywords: tuple[str, ...] = ()
    positional: int = 0
    deferred: bool = False
    parts: Callable[[str], Contract | None] = _nothing
    finished: bool = True

    def holds(self, found: object) -> bool:
        """Whether ``found`` is a class of this kind, or a function annotated to return one."""
        kind = _returned(found) if inspect.isfunction(found) else found
        return isinstance(kind, type) and self._fits(kind)

    def made(self, value: object) -> bool:
        """Whether ``value`` is an object of this kind."""
        return not isinstance(value, type) and self._fits(type(value))

    def _fits(self, kind: type) -> bool:
        if not self._is_protocol:
            return issubclass(kind, self.kind)
        return all(callable(getattr(kind, name, None)) for name in self._methods)

    def __str__(self) -> str:
        name = f"{self.kind.__module__}.{self.kind.__qualname__}"
        if self._is_protocol:
            return f"a class with the methods of {name} ({', '.join(self._methods)})"
        return f"a class derived from {name}"

    @property
    def _is_protocol(self) -> bool:
        return bool(getattr(self.kind, "_is_protocol", False))

    @property
    def _methods(self) -> list[str]:
        members = {name: member for base in self.kind.__mro__ for name, member in vars(base).items()}
        return sorted(
            name for name, member in members.items() if inspect.isfunction(member) and name[0] != "_"
        )


def _returned(function: object) -> object:
    try:
        return get_type_hints(function).get("return")
    except (NameError, TypeError):
        return None  # an annotation that is only there for a type checker


def _in_agent(option: str) -> Contract:
    return _VALUE if option == "value" else _NETWORK


def _in_aggregator(option: str) -> Contract:
    return _INNER


_VALUE = Contract(Value)
_NETWORK = Contract(nn.Module, positional=2, deferred=True, finished=False)  # sizes and layers
_INNER = Contract(Aggregator, keywords=("num_tasks",), deferred=True, parts=_in_aggregator)
_AGGREGATOR = Contract(Aggregator, keywords=("num_tasks",), parts=_in_aggregator)

SIDES = ("actor_aggregator", "critic_aggregator")  # of one side alone; left out, both are as ``aggregator``
CONTRACTS = {
    "env": Contract(Suite, keywords=("seed",)),
    "agent": Contract(
        Agent,
        keywords=("spec", "actor_aggregator", "critic_aggregator", "device", "generator"),
        parts=_in_agent,
        finished=False,
    ),
    "aggregator": _AGGREGATOR,
    **dict.fromkeys(SIDES, _AGGREGATOR),
    "logger": Contract(LoggerHook),
}
OPTIONAL = (*SIDES, "logger")  # absent where they have no class
LEAVES = tuple(name for name in CONTRACTS if name not in OPTIONAL)  # what every configuration has
