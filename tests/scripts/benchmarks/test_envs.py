import json
import sys

import benchmark
import numpy as np
import pytest

from benchmarks import envs as benchmark_envs
from benchmarks import evaluation as benchmark_evaluation
from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.types import SuiteSpec
from tests.envs.counting import CountingTask


def small_suite(*_, workers=0, **__):
    """Stands for a Meta-World suite: ten tasks that only count."""
    spec = SuiteSpec(tuple("abcdefghij"), obs_size=3, action_size=4, horizon=3, num_goals=50)

    class Suite:
        def __init__(self):
            self.spec = spec

        def evaluation_env(self):
            return SuiteEvaluationEnv(spec, [CountingTask] * 10, workers=workers)

        def training_env(self):
            return SuiteTrainingEnv(spec, [CountingTask] * 10, copies=1, seed=0, workers=workers)

    return Suite()


class LibraryEnv:
    def __init__(self):
        self.shapes = set()

    def reset(self):
        pass

    def step(self, action):
        assert np.isfinite(action).all()
        self.shapes.add(action.shape)

    def close(self):
        pass


def test_our_environments_and_the_librarys_are_timed_in_one_run(monkeypatch, tmp_path, capsys):
    opened = []

    def make_vec(name, **options):
        opened.append((name, options["vector_strategy"], LibraryEnv()))
        return opened[-1][2]

    monkeypatch.setattr(benchmark_envs, "benchmark", small_suite)
    monkeypatch.setattr("gymnasium.make_vec", make_vec)
    target = tmp_path / "rows.json"
    options = ["--workers", "2", "--steps", "3", "--repeats", "2", "--json", str(target)]
    monkeypatch.setattr(sys, "argv", ["benchmark", "envs", *options])
    benchmark.main()
    assert [(name, strategy) for name, strategy, _ in opened] == [
        ("Meta-World/MT10", "sync"),
        ("Meta-World/MT10", "async"),
    ]
    assert all(library.shapes == {(10, 4)} for *_, library in opened)
    rows = {row["contender"]: row for row in json.loads(target.read_text())}
    assert set(rows) == {
        "in process",
        "in process, fast=false",
        "2 workers",
        "SyncVectorEnv",
        "AsyncVectorEnv",
        "1 worker, learner as slow",
    }
    assert rows["AsyncVectorEnv"]["ratio"] == 1
    assert rows["1 worker, learner as slow"]["loop_ratio"] > 0
    assert all(row["steps_per_second"] is None or row["steps_per_second"] > 0 for row in rows.values())
    assert "2 workers" in capsys.readouterr().out


def test_an_evaluation_is_timed_beside_its_steps_alone(monkeypatch, capsys):
    monkeypatch.setattr(benchmark_evaluation, "benchmark", small_suite)
    monkeypatch.setattr(sys, "argv", ["benchmark", "evaluation", "--episodes", "2", "--workers", "2"])
    benchmark.main()
    printed = capsys.readouterr().out
    assert "20 episodes of random actions, 40 steps" in printed  # success comes with the second
    assert float(printed.split("=")[1]) > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [(["--workers", "-1"], "found -1"), (["--workers", "many"], "'many'"), (["--steps", "0"], "--steps")],
)
def test_bad_input_is_refused(monkeypatch, capsys, options, words):
    monkeypatch.setattr(sys, "argv", ["benchmark", "envs", *options])
    with pytest.raises(SystemExit, match="2"):
        benchmark.main()
    assert words in capsys.readouterr().err
