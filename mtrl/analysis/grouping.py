"""Groups runs that differ only in their seed into methods, and labels these by how they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from mtrl.analysis.runs import Run
from mtrl.config.allowed_classes import SIDES
from mtrl.config.learning_options import BOTH, Flat, aggregators, flatten, learning_options
from mtrl.errors import require

PLAIN, INDEPENDENT = (
    "sac",
    "single_task",
)  # agents: the one that goes without saying, the one without conflict


@dataclass(frozen=True)
class Method:
    """All runs of one configuration, by seed."""

    label: str
    agent: str
    aggregator: str
    options: Flat
    runs: list[Run]

    @property
    def seeds(self) -> list[int]:
        return [run.seed for run in self.runs]


def group(runs: Sequence[Run]) -> tuple[list[Method], list[str]]:
    """Group ``runs`` into methods, in alphabetical order, with notes on the runs that were left out.

    Of two runs with the same configuration and seed, which are no independent samples, the finished one
    counts, of two finished ones the newer.
    """
    kept: dict[tuple[str, int], Run] = {}
    notes = []
    for run in runs:
        key = (_options(run), run.seed)
        if key in kept:
            run, other = sorted((run, kept[key]), key=_preference, reverse=True)
            notes.append(f"{other.path} is left out: {run.path} has the same configuration and seed")
        kept[key] = run
    return methods_of(list(kept.values())), notes


def methods_of(runs: Sequence[Run]) -> list[Method]:
    """Group ``runs`` into methods, in alphabetical order, runs of one seed as often as there are some."""
    by_options: dict[str, list[Run]] = {}
    for run in runs:
        by_options.setdefault(_options(run), []).append(run)
    groups = [sorted(members, key=lambda run: run.seed) for members in by_options.values()]
    names = [(choice_name(g[0].config, "agent"), aggregator_name(g[0].config)) for g in groups]
    flats = [learning_options(members[0].config) for members in groups]
    labels = _labels(names, flats)
    methods = [
        Method(label, *name, flat, members)
        for label, name, flat, members in zip(labels, names, flats, groups, strict=True)
    ]
    return sorted(methods, key=lambda method: method.label)


def _options(run: Run) -> str:
    return repr(sorted(learning_options(run.config).items()))


def find_method(methods: Sequence[Method], name: str) -> Method:
    """Find the method of that label, or else the only one with that aggregator or agent.

    Raises:
        UsageError: for a name that fits none, or several.
    """
    exact = [method for method in methods if method.label == name]
    matches = exact or [method for method in methods if name in (method.aggregator, method.agent)]
    labels = ", ".join(repr(method.label) for method in methods)
    require(len(matches) == 1, f"--baseline must name one method, found {name!r}; choose one of: {labels}")
    return matches[0]


def aggregator_name(config: dict[str, Any]) -> str:
    """The choice for both sides, or where they differ the actor's and the critics', as in cagrad/pcgrad."""
    found = aggregators(config)
    return "/".join(choice_name({BOTH: node}, BOTH) for node in found.values())


def choice_name(config: dict[str, Any], leaf: str) -> str:
    """Name the file of ``configs/LEAF`` with the same classes, or else the first class not in it."""
    classes = _targets(config[leaf])
    closest = closest_choice(config, leaf)
    known = _targets(_choices(leaf)[closest]) if closest else {}
    if closest and classes == known:
        return closest
    foreign = [value for name, value in classes.items() if known.get(name) != value]
    return str((foreign or [closest])[0]).rpartition(".")[2]


def closest_choice(config: dict[str, Any], leaf: str) -> str | None:
    """Name the file of ``configs/LEAF`` for the same class that differs least; None for another class."""
    node = config[leaf]
    flat, classes = flatten(node).items(), _targets(node)

    def similarity(name: str) -> tuple[bool, int]:
        choice = _choices(leaf)[name]
        return _targets(choice) == classes, -len(flat ^ flatten(choice).items())

    fitting = [name for name, choice in _choices(leaf).items() if choice["_target_"] == node.get("_target_")]
    return max(fitting, key=similarity, default=None)


@cache
def _choices(leaf: str) -> dict[str, dict[str, Any]]:
    folder = files("mtrl.configs").joinpath(leaf)

    def load(name: str) -> DictConfig | ListConfig:
        node = OmegaConf.create(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8"))
        assert isinstance(node, DictConfig)
        bases = [load(base) for base in node.pop("defaults", []) if base != "_self_"]
        return OmegaConf.merge(*bases, node)

    names = sorted(
        path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml")
    )
    return {name: OmegaConf.to_container(load(name)) for name in names}  # type: ignore[misc]  # as above


def _targets(node: dict[str, Any]) -> Flat:
    return {name: value for name, value in sorted(flatten(node).items()) if name.endswith("_target_")}


def _preference(run: Run) -> tuple[bool, str]:
    return run.final is not None, str(run.manifest.get("created", ""))


def _labels(names: list[tuple[str, str]], flats: list[Flat]) -> list[str]:
    several_agents = len({agent for agent, _ in names}) > 1
    several_aggregators = len({aggregator for _, aggregator in names}) > 1
    labels = []
    for (agent, aggregator), flat in zip(names, flats, strict=True):
        parts = [agent] if several_agents and not (agent == PLAIN and several_aggregators) else []
        # Independent learners leave an aggregator nothing to do.
        parts += [aggregator] if agent != INDEPENDENT and (several_aggregators or not several_agents) else []
        parts = parts or [agent]
        # Options of a leaf can be compared where the leaf is the same; the others everywhere.
        same_agent = [f for n, f in zip(names, flats, strict=True) if n[0] == agent]
        same_aggregator = [f for n, f in zip(names, flats, strict=True) if n[1] == aggregator]
        alike = {"agent": same_agent, **dict.fromkeys((BOTH, *SIDES), same_aggregator)}
        for name, value in flat.items():
            rivals = alike.get(name.partition(".")[0], flats)
            held = Counter(str(rival.get(name)) for rival in rivals)
            if 2 * held[str(value)] <= len(rivals):  # what most have goes without saying
                shown = "null" if value is None else value  # as a command says it
                parts.append(f"{_short(name, flat)}={shown}")
        labels.append(" ".join(parts))
    return labels


def _short(name: str, flat: Flat) -> str:
    """The last part of an option's name, where no other option of the run ends in the same."""
    last = name.rpartition(".")[2]
    return last if sum(other.rpartition(".")[2] == last for other in flat) == 1 else name
