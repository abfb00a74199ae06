"""Reads the configuration of a run of an earlier release: what was renamed since gets its name of today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# Before release 0.2, agents and envs were packages of their own. A user may have others of these names, so
# what is renamed is these classes, and in runs of that release alone.
NETWORKS = (
    *("BroNet", "CARE", "EmbeddingMLP", "FiLM", "IndependentMLP", "MOORE", "MultiHead", "OneHotMLP"),
    *("PaCo", "SoftModular", "UnconditionedMLP"),
)
CLASSES = {
    "agents.sac.SAC": "mtrl.agents.sac.SAC",
    "agents.nested.NestedSAC": "mtrl.agents.nested_moco.NestedSAC",
    "agents.values.ScalarValue": "mtrl.agents.values.ScalarValue",
    "agents.values.CategoricalValue": "mtrl.agents.values.CategoricalValue",
    "envs.metaworld.benchmark": "mtrl.envs.metaworld.suite.benchmark",
    "envs.metaworld.custom": "mtrl.envs.metaworld.suite.custom",
    "envs.metaworld.mt1": "mtrl.envs.metaworld.suite.mt1",
    "envs.toy.ToySuite": "mtrl.envs.point_mass.PointMassSuite",
} | {f"agents.networks.{name}": f"mtrl.agents.networks.{name}" for name in NETWORKS}


OPTIONS = {"film_evaluations": "record_evaluations"}  # of the loop, so at the top of the tree
SACS = (CLASSES["agents.sac.SAC"], CLASSES["agents.nested.NestedSAC"])
# Options that came later: of the loop, and of those agents.
ADDED = {"gradients": "auto", "exploration_rate": 0.0}
ADDED_TO_SAC = {"actor_polyak": None}


def with_names_of_today(config: Any, manifest: Path) -> Any:
    """The plain values of config.yaml as this release would have written them.

    Args:
        config: as read.
        manifest: the run's manifest.json, which says which release wrote it.
    """
    release = _release(manifest)
    if release is None or not isinstance(config, dict):
        return config
    if release == "0.1.0":
        config = {OPTIONS.get(name, name): _with_classes_of_today(value) for name, value in config.items()}
    agent = config.get("agent")
    if isinstance(agent, dict) and agent.get("_target_") in SACS:
        config = config | {"agent": ADDED_TO_SAC | agent}
    return ADDED | config


def _with_classes_of_today(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    tree = {name: _with_classes_of_today(value) for name, value in node.items()}
    target = tree.get("_target_")
    return tree | {"_target_": CLASSES[target]} if isinstance(target, str) and target in CLASSES else tree


def _release(manifest: Path) -> Any:
    """None for what is no manifest: whoever needs more of it says so."""
    try:
        return json.loads(manifest.read_text(encoding="utf-8"))["versions"]["mtrl"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None
