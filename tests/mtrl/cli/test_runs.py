import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from mtrl.cli import compare, evaluate, plot, report, runs
from mtrl.runs.directory import RunDirectory
from tests.mtrl.analysis.made_up_runs import make_up_run

TASKS = ("reach-v3", "push-v3", "pick-place-v3")


@pytest.fixture
def folder(tmp_path, finished_tiny_run):
    """Runs of two suites, of every state, and what is none."""
    top = tmp_path / "my runs"
    shutil.copytree(finished_tiny_run, top / "finished")
    for name in ("stopped", "running", "broken"):
        run = shutil.copytree(finished_tiny_run, top / name)
        lines = (run / "evaluations.jsonl").read_text().splitlines(keepends=True)
        (run / "evaluations.jsonl").write_text(lines[0])
    for path in RunDirectory(top / "broken").saved():
        path.write_bytes(path.read_bytes()[:-1])
    for seed in range(2):
        make_up_run(top / "mt10" / f"seed{seed}", "experiment=mt10_cagrad", tasks=TASKS, seed=seed)
    (make_up_run(top / "damaged") / "manifest.json").write_text("{")
    (top / "foreign").mkdir()
    (top / "foreign" / "config.yaml").write_text("a: 1\n")
    return top


def test_every_run_is_listed_with_its_state(run, folder, capsys):
    files = RunDirectory(folder / "running")
    files.lock()
    try:
        assert run(runs, folder, "--format", "json") == 0
    finally:
        files.close()
    captured = capsys.readouterr()
    listed = {one["run"].removeprefix(f"{folder}/"): one for one in json.loads(captured.out)}
    assert {name: one["state"] for name, one in listed.items()} == {
        "broken": "damaged",
        "damaged": "damaged",
        "finished": "finished",
        "mt10/seed0": "finished",
        "mt10/seed1": "finished",
        "running": "running",
        "stopped": "stopped",
    }
    assert listed["finished"] | {"run": "", "success": 0} == {
        "run": "",
        "suite": "point_mass",
        "method": "cagrad",
        "seed": 0,
        "step": 60,
        "steps_per_task": 60,
        "state": "finished",
        "success": 0,
        "reason": None,
    }
    last = (folder / "finished" / "evaluations.jsonl").read_text().splitlines()[-1]
    assert listed["finished"]["success"] == json.loads(last)["mean_success"]
    assert listed["damaged"]["method"] is None
    notes = " ".join(captured.err.split())
    assert "foreign is left out: it is no run" in notes
    assert "broken is damaged: no checkpoint is whole" in notes


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "evaluations.jsonl", "manifest.json", "config.yaml", "lock"]
)
def test_a_file_that_cannot_be_read_keeps_no_other_run_from_being_listed(
    run, tmp_path, finished_tiny_run, capsys, monkeypatch, name
):
    for place in ("a", "b"):
        shutil.copytree(finished_tiny_run, tmp_path / "runs" / place)
    whole = Path.open

    def fail(path, *arguments, **options):
        if path.name == name and path.parent.name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", fail)
    assert run(runs, "runs", "--format", "json") == 0
    states = {Path(one["run"]).name: one["state"] for one in json.loads(capsys.readouterr().out)}
    assert states["b"] == "finished"
    assert states["a"] == ("finished" if name in ("metrics.jsonl", "lock") else "damaged")


@pytest.mark.parametrize("columns", [80, 60])
def test_tables_fit_the_terminal_and_break_no_number(run, folder, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for program in (runs, evaluate, compare):
        assert run(program, folder) == 0
        printed = capsys.readouterr().out
        assert max(map(len, printed.splitlines())) <= columns
    assert run(runs, folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.split()[0] == "finished" and "finished" in line.split()[1:] for line in lines if line.strip()
    )


def test_there_is_one_table_for_each_suite(run, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run(evaluate, folder, "--curves=~/curves.csv") == 0
    captured = capsys.readouterr()
    assert "Methods, point_mass" in captured.out
    assert "Methods, mt10" in captured.out
    assert "damaged is left out: " in captured.err
    rows = list(csv.DictReader(io.StringIO((tmp_path / "curves.csv").read_text())))
    finished = [row for row in rows if row["run"].endswith("/mt10/seed1")]
    logged = [json.loads(line) for line in (folder / "mt10/seed1/evaluations.jsonl").read_text().splitlines()]
    assert [(int(row["step"]), row["task"], float(row["success"])) for row in finished] == [
        (entry["step"], task, entry["success"][task]) for entry in logged for task in TASKS
    ]
    assert run(evaluate, folder, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [suite["suite"] for suite in found["suites"]] == ["point_mass", "mt10"]
    assert {method["suite"] for method in found["methods"]} == {"point_mass", "mt10"}
    assert run(plot, folder, "--out", "figures") == 0
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"point_mass", "mt10"}
    assert run(report, folder, "--out", "page.html") == 0
    text = (tmp_path / "page.html").read_text()
    assert "<h2>Methods: mt10</h2>" in text
    assert "foreign is left out" in text
    capsys.readouterr()
    assert run(compare, folder) == 0
    assert "Measured beside published, mt10" in capsys.readouterr().out


def test_a_folder_without_runs_is_one_line(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for arguments, words in (([], "no run directory at runs"), (["~"], "it holds no run")):
        assert run(runs, *arguments) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_a_tilde_that_the_shell_left_means_home(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    make_up_run(tmp_path / "runs" / "seed0")
    assert run(runs, "~/runs", "--format", "json") == 0
    assert [one["run"] for one in json.loads(capsys.readouterr().out)] == [f"{tmp_path}/runs/seed0"]
    assert run(evaluate, "~/runs", "--curves=~/curves.csv") == 0
    assert (tmp_path / "curves.csv").is_file()
