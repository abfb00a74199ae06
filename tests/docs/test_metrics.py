"""docs/metrics.md held against what is logged."""

import json
import re

import pytest

from mtrl.cli import train
from mtrl.config.registry import method_names
from mtrl.runs.directory import RunDirectory
from mtrl.runs.logger import Logger
from mtrl.training.nonfinite import NonfiniteGuard
from tests.agents.built_agents import AGENTS, build
from tests.conftest import random_batch
from tests.docs.commands import ROOT
from tests.tiny_run import TINY

TEXT = (ROOT / "docs" / "metrics.md").read_text()
METRICS, EVALUATIONS = TEXT.split("## metrics.jsonl")[1].split("## evaluations.jsonl")


def documented(section):
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def pattern(name, tasks):
    parts = re.split(r"(PART|TASK)", name)
    choices = {"PART": "(actor|critic)", "TASK": "(" + "|".join(map(re.escape, tasks)) + ")"}
    return "".join(choices.get(part, re.escape(part)) for part in parts)


def logged(agent, spec, folder):
    """The names of one update's statistics, as they are written."""
    folder.mkdir(parents=True)
    logger = Logger(RunDirectory(folder), spec.task_names)
    metrics = agent.update(random_batch(spec, 8), diagnose=True)
    logger.add(NonfiniteGuard(agent, spec.task_names, "stop").judge(metrics, step=0))
    row = logger.flush(1, {})
    logger.close()
    return set(row)


VARIANTS = [
    *(("sac", method, {}) for method in method_names()),
    *((agent, "mean", {}) for agent in AGENTS),
    ("nested_moco", "moco", {"hypergradient": "cg"}),
    ("sac", "mean", {"temperature": "shared"}),
    ("multihead", "mgda", {"aggregate": "all"}),
]


def test_what_is_logged_is_what_is_documented(run, spec, tmp_path):
    assert run(train, *TINY, "run_dir=out", "env.horizon=5", "on_divergence=skip") == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    names = set().union(*rows)
    for index, (agent, method, options) in enumerate(VARIANTS):
        names |= logged(build(agent, spec, method, **options), spec, tmp_path / str(index))
    tasks = {"turn-90", "turn-180", "turn-270", *spec.task_names}
    patterns = {name: pattern(name, tasks) for name in documented(METRICS)}
    seen = set()
    for name in names:
        fitting = [key for key, value in patterns.items() if re.fullmatch(value, name)]
        assert len(fitting) == 1, name
        seen.update(fitting)
    assert seen == set(patterns), "documented, but never logged"
    row = json.loads((tmp_path / "out" / "evaluations.jsonl").read_text().splitlines()[-1])
    assert set(row) == set(documented(EVALUATIONS))


def test_cosines_are_listed_in_the_order_documented(spec, tmp_path):
    agent = build("sac", spec)
    folder = tmp_path / "run"
    folder.mkdir()
    logger = Logger(RunDirectory(folder), spec.task_names)
    metrics = agent.update(random_batch(spec, 8), diagnose=True)
    matrix = metrics["actor/cosine"]
    logger.add(metrics)
    row = logger.flush(1, {})
    logger.close()
    assert row["actor/cosine"] == [round(float(matrix[i, j]), 4) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(row["actor/cosine"]) == pytest.approx(row["actor/cosine_min"], abs=1e-4)
