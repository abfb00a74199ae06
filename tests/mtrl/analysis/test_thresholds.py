import json

import pytest

from mtrl.analysis.clock import Clock
from mtrl.analysis.runs import find_runs
from mtrl.analysis.statistics import worst_mean
from mtrl.analysis.thresholds import when_reached
from tests.mtrl.analysis.made_up_runs import make_up_run


def run_with(folder, seed, rates, speed):
    """A run of one task whose evaluations, 1,000 steps apart, have these rates."""
    path = make_up_run(folder / str(seed), seed=seed, tasks=("only",), evaluations=len(rates))
    lines = [json.loads(line) for line in (path / "evaluations.jsonl").read_text().splitlines()]
    changed = [
        line | {"success": {"only": rate}, "mean_success": rate}
        for line, rate in zip(lines, rates, strict=True)
    ]
    (path / "evaluations.jsonl").write_text("".join(json.dumps(line) + "\n" for line in changed))
    entries = [
        {"step": step, "total_steps": step, "time/steps_per_second": speed}
        for step in range(500, 1000 * len(rates), 500)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_steps_and_time_to_a_threshold_are_medians_over_all_seeds(tmp_path):
    run_with(tmp_path, 0, [0.2, 0.5, 0.95], speed=10.0)
    run_with(tmp_path, 1, [0.6, 0.3, 0.7], speed=20.0)
    run_with(tmp_path, 2, [0.1, 0.2, 0.3], speed=20.0)
    half, seven, nine = when_reached(find_runs([tmp_path]))
    assert (half.steps, half.seconds, half.reached, half.runs) == (2000, pytest.approx(200), 2, 3)
    assert (seven.steps, seven.reached) == (3000, 2)
    assert (nine.steps, nine.seconds, nine.reached) == (None, None, 1)


def test_a_clock_goes_on_at_its_rate_and_a_run_without_rates_has_none(tmp_path):
    run_with(tmp_path / "a", 0, [0.0, 0.0], speed=10.0)
    (run,) = find_runs([tmp_path / "a"])
    assert [Clock(run).at(step) for step in (250, 1500, 3000)] == pytest.approx([25, 150, 300])
    make_up_run(tmp_path / "b")
    (run,) = find_runs([tmp_path / "b"])
    assert Clock(run).at(1000) != Clock(run).at(1000)


def test_the_worst_are_those_of_each_seed():
    import numpy as np

    assert worst_mean(np.array([[0.0, 1.0, 0.4], [0.9, 0.1, 0.3]]), 2) == pytest.approx((0.2 + 0.2) / 2)
