import json

import pytest

from mtrl.cli import evaluate, train
from mtrl.errors import StorageError
from mtrl.runs.directory import RunDirectory
from tests.mtrl.analysis.made_up_runs import make_up_run
from tests.tiny_run import TINY


def test_runs_are_evaluated_together(run, tmp_path, capsys):
    for seed in (0, 1):
        assert run(train, *TINY, f"run_dir=runs/{seed}", f"seed={seed}") == 0
    capsys.readouterr()
    assert run(evaluate, "runs", "--episodes", "3") == 0
    printed = capsys.readouterr().out
    assert "turn-90" in printed
    assert "IQM" in printed
    assert run(evaluate, "runs/0", "runs/1", "--episodes", "3", "--format", "json", "--out", "out.json") == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert [record["seed"] for record in result["runs"]] == [0, 1]
    assert result["runs"][0]["episodes_per_task"] == 3
    (method,) = result["methods"]
    assert method["method"] == "cagrad"
    assert method["iqm_95"][0] <= method["iqm"] <= method["iqm_95"][1]


def test_the_final_evaluation_can_be_repeated(run, tiny_run, tmp_path):
    assert run(evaluate, "out", "--episodes", "2") == 0
    logged = json.loads((tmp_path / "out" / "evaluations.jsonl").read_text().splitlines()[-1])
    repeated = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert repeated["return"] == logged["return"]


@pytest.mark.parametrize("content", ["nothing", "empty", "config"])
def test_a_directory_without_a_checkpoint_is_refused(run, tmp_path, capsys, content):
    if content != "nothing":
        (tmp_path / "out").mkdir()
    if content == "config":
        (tmp_path / "out" / "config.yaml").write_text("seed: 0\n")
    assert run(evaluate, "out", "--episodes", "2") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "out" in error


def test_logged_evaluations_are_enough(run, tmp_path, capsys):
    for seed in range(2):
        make_up_run(tmp_path / "runs" / f"mean{seed}", "experiment=toy", "aggregator=mean", seed=seed)
        make_up_run(tmp_path / "runs" / f"cagrad{seed}", "experiment=toy", seed=seed)
    for kind, start in (
        ("markdown", "### Methods"),
        ("csv", "method,seed,task"),
        ("latex", "\\begin{table}"),
    ):
        assert run(evaluate, "runs", "--format", kind) == 0
        assert capsys.readouterr().out.startswith(start)
    assert run(evaluate, "runs", "--baseline", "mean") == 0
    assert "P(better" in capsys.readouterr().out
    assert run(evaluate, "runs", "--baseline", "moco") == 2
    assert "choose one of: 'cagrad', 'mean'" in capsys.readouterr().err


def test_of_an_unfinished_run_the_last_checkpoint_is_evaluated(run, tmp_path, capsys):
    assert run(train, *TINY, "run_dir=out", "final_episodes=4") == 0
    path = tmp_path / "out" / "evaluations.jsonl"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[:-1]))
    capsys.readouterr()
    assert run(evaluate, "out", "--format", "json") == 0
    captured = capsys.readouterr()
    (row,) = json.loads(captured.out)["runs"]
    assert (row["finished"], row["episodes_per_task"], row["step"]) == (False, 4, 60)
    assert "out is unfinished: its figures are of step 60" in captured.err


def test_results_that_may_only_be_read_are_evaluated(run, tiny_run, capsys, monkeypatch):
    def refuse(files, path, text):
        raise StorageError(path, OSError(30, "Read-only file system")) from OSError("Read-only file system")

    monkeypatch.setattr(RunDirectory, "write", refuse)
    assert run(evaluate, "out", "--episodes", "2") == 0
    captured = capsys.readouterr()
    assert "turn-90" in captured.out
    assert "the evaluation of out is shown here only: Read-only file system" in captured.err


def test_more_episodes_than_goals_are_refused(run, tiny_run, capsys):
    assert run(evaluate, "out", "--episodes", "51") == 2
    assert "50 goals" in capsys.readouterr().err
