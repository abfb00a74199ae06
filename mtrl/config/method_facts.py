"""Describes each aggregator for a table: what it needs and keeps, its paper, and when to use it."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from mtrl.aggregators import Aggregator, GramAggregator, NormAggregator
from mtrl.config.registry import build_method, method_use

PROBE = 7  # a number of tasks that no other size equals, to tell which dimensions of a state are K
SIZES = {PROBE: "K", 0: "P"}
PAPER = re.compile(r"\(([^()]*?\d{4}[^()]*)\)")
PLACE = re.compile(r"(?:equations?|section|[Aa]ppendix|Algorithm|Claim|Corollary) [A-Z]?[\d.]*\d")


@dataclass(frozen=True)
class Entry:
    """One line of the table."""

    name: str
    needs: str
    state: str
    paper: str
    places: str
    use: str


def describe(name: str) -> Entry:
    """A method's entry, from its configuration, an instance and the docstrings of its classes."""
    aggregator = build_method(name, PROBE)
    layers = _layers(aggregator)
    texts = [text for layer in layers for text in _docstrings(type(layer))]
    heads = [_module_head(type(layer)) for layer in layers]
    papers = [match.partition(", section")[0] for head in heads for match in PAPER.findall(head)]
    places = [place.replace("equations", "equation") for text in texts for place in PLACE.findall(text)]
    return Entry(
        name,
        _needs(layers),
        _state(aggregator),
        "; ".join(dict.fromkeys(papers)) or "–",
        ", ".join(dict.fromkeys(places)) or "–",
        method_use(name),
    )


def _layers(aggregator: Aggregator) -> list[Aggregator]:
    """A wrapper, what it wraps, and so on."""
    return [module for module in aggregator.modules() if isinstance(module, Aggregator)]


def _needs(layers: list[Aggregator]) -> str:
    innermost = layers[-1]
    if innermost.needs == "losses":
        return "losses"
    if isinstance(innermost, NormAggregator):
        return "gradients (norms)"
    return "gradients (Gram)" if isinstance(innermost, GramAggregator) else "gradients (all)"


def _state(aggregator: Aggregator) -> str:
    """What is kept for each task or pair, with sizes; a size that is not yet known is P."""
    kept = [
        f"{name.split('.')[-1]} [{', '.join(SIZES.get(size, str(size)) for size in buffer.shape)}]"
        for name, buffer in aggregator.named_buffers()
        if buffer.ndim > 0 and buffer.is_floating_point()
    ]
    return ", ".join(kept) or "none"


def _module_head(kind: type) -> str:
    module = inspect.getmodule(kind)
    return ((module and inspect.getdoc(module)) or "").partition("\n\n")[0]


def _docstrings(kind: type) -> list[str]:
    """Those of a class's module and of the functions and classes defined there."""
    module = inspect.getmodule(kind)
    assert module is not None
    values = [value for value in vars(module).values() if inspect.isfunction(value) or inspect.isclass(value)]
    own = [value for value in values if value.__module__ == module.__name__]
    return [inspect.getdoc(value) or "" for value in (module, *own)]
