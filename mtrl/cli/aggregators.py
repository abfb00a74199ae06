"""Prints a table of the gradient aggregators and when to use each:  python scripts/aggregators.py."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from mtrl.aggregators import Aggregator, GramAggregator, NormAggregator
from mtrl.cli.program import run_program
from mtrl.config.registry import build_method, method_names, method_summary, method_use

LAST = "what it is, and when to use it"
PROBE = 7  # a number of tasks that no other size equals, to tell which dimensions of a state are K
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


def main() -> None:
    """Entry point of ``mtrl-aggregators``."""
    parser = argparse.ArgumentParser(description="A table of every method of configs/aggregator.")
    parser.parse_args()
    run_program(_print)


def _print() -> None:
    table = Table(title="methods, chosen by aggregator=NAME", show_lines=True, expand=True)
    table.add_column("name", no_wrap=True)
    for column, ratio in (("needs", 2), ("state", 3), ("paper", 4), ("where in it", 3), (LAST, 8)):
        table.add_column(column, ratio=ratio)
    for entry in map(describe, method_names()):
        use = f"{method_summary(entry.name).split(' (')[0]}. Use it {entry.use}."
        table.add_row(entry.name, entry.needs, entry.state, entry.paper, entry.places, use)
    # A pipe has no width of its own: 80 columns would fold every cell.
    Console(width=None if sys.stdout.isatty() else 160).print(table)


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
        f"{name.split('.')[-1]} [{', '.join('K' if size == PROBE else 'P' for size in buffer.shape)}]"
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


if __name__ == "__main__":
    main()
