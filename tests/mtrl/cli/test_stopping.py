"""Whatever stops a run leaves a checkpoint, a right exit status, and logs that nothing is written over."""

import os
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from mtrl.cli import evaluate, train
from mtrl.config import resume
from mtrl.runs.checkpoint import require_loadable
from mtrl.runs.directory import RunDirectory
from tests.tiny_run import TINY

LONG = [*TINY, "steps_per_task=100000", "evaluation_interval=100000", "run_dir=my run"]


def reader_that_has_gone():
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def full_disk():
    return Path("/dev/full").open("w")


def all_files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("output", "status", "why"),
    [(reader_that_has_gone, 141, "Broken pipe"), (full_disk, 1, "No space left on device")],
)
def test_an_output_that_takes_no_more_stops_the_run(output, status, why, run, tmp_path, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", output())
        assert run(train, *LONG) == status
    error = capsys.readouterr().err
    assert error.startswith(f"error: cannot write to the output: {why}; stopped at step 1, with a checkpoint")
    assert error.endswith("resume=my run'\n")
    assert error.count("\n") == 1
    assert RunDirectory(tmp_path / "my run").saved()


@pytest.mark.parametrize("output", [reader_that_has_gone, full_disk])
@pytest.mark.parametrize(
    ("program", "arguments"), [(train, ["--help"]), (evaluate, ["--help"]), (evaluate, ["out"])]
)
def test_programs_end_without_a_traceback_where_nobody_reads(
    output, program, arguments, run, tiny_run, capsys, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", output())
        status = run(program, *arguments)
    error = capsys.readouterr().err.replace("note: no interval from a single run: cagrad\n", "")
    if output is reader_that_has_gone:
        assert (status, error) == (141, "")
    else:
        assert (status, error) == (1, "error: output: No space left on device\n")


@pytest.mark.parametrize("auto", [False, True])
def test_logs_whose_checkpoints_are_gone_are_left_alone(auto, run, tiny_run, capsys):
    lines = (tiny_run / "evaluations.jsonl").read_text().splitlines()
    (tiny_run / "evaluations.jsonl").write_text(lines[0] + "\n")
    for gone in ("checkpoints", "replay"):
        shutil.rmtree(tiny_run / gone)
    before = all_files(tiny_run)
    assert run(train, *([*TINY, "run_dir=out", "resume=auto"] if auto else ["resume=out"])) == 2
    error = capsys.readouterr().err
    assert "held checkpoints and holds none now" in error
    assert error.count("\n") == 1
    assert {path: text for path, text in all_files(tiny_run).items() if path.name != "lock"} == {
        path: text for path, text in before.items() if path.name != "lock"
    }


def test_a_state_that_could_not_be_loaded_is_refused_before_the_run_begins(run, tmp_path, capsys):
    (tmp_path / "my_file.py").write_text(
        "import numpy\n"
        "from mtrl.aggregators import Mean\n"
        "class Counting(Mean):\n"
        "    def get_extra_state(self):\n"
        "        return {'seen': numpy.float64(1)}\n"
        "    def set_extra_state(self, state):\n"
        "        pass\n"
    )
    assert run(train, *TINY, "aggregator._target_=my_file.Counting", "run_dir=out") == 2
    error = capsys.readouterr().err
    assert "agent.actor.aggregator._extra_state.seen must be a tensor or a plain value" in error
    assert "found numpy.float64" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_runs_that_begin_in_the_same_second_have_directories_of_their_own(run, tmp_path, monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, zone=None):
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.setattr(resume, "datetime", Clock)
    for _ in range(2):
        assert run(train, *TINY, "steps_per_task=12") == 0
    runs = sorted((tmp_path / "runs" / "point_mass_sac_cagrad").iterdir())
    first = "2026-01-02_03-04-05-seed0"
    assert [path.name for path in runs] == [first, f"{first}-2"]
    assert all(RunDirectory(path).finished() for path in runs)


@pytest.mark.parametrize("state", [{1, 2}, {"a": [1, (2.5, None)]}, {3: b"x"}, {"b": True}])
def test_plain_states_can_be_loaded(state):
    require_loadable(state)
