"""What a run does when disk, files or environments fail: one line, and the checkpoint before stays whole."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mtrl.agents.sac import SAC
from mtrl.cli import evaluate, train
from mtrl.envs.point_mass import PointMassTask
from mtrl.runs.directory import RunDirectory
from tests.mtrl.cli.test_resume import assert_same_run
from tests.tiny_run import TINY, rows, train_once, without_times
from tests.warm_start import SCRIPTS, Program

EVERY_STEP = "checkpoint_minutes=1e-9"
SHORT = [*TINY, EVERY_STEP, "steps_per_task=24", "log_interval=8"]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    out = tmp_path_factory.mktemp("faults") / "out"
    train_once(*SHORT, f"run_dir={out}")
    lines = [
        line for line in (out / "evaluations.jsonl").read_text().splitlines() if not json.loads(line)["final"]
    ]
    (out / "evaluations.jsonl").write_text("".join(line + "\n" for line in lines))
    return out


@pytest.fixture
def halted(killed, tmp_path):
    """The directory of a run as it was when it was killed in its final evaluation."""
    return shutil.copytree(killed, tmp_path / "out")


def one_line(text):
    return text.startswith("error: ") and text.count("\n") == 1


def damage(path, how):
    whole = path.read_bytes()
    flipped = bytes([whole[-200] ^ 4])
    path.write_bytes(
        {"empty": b"", "truncated": whole[:-10], "flipped": whole[:-200] + flipped + whole[-199:]}[how]
    )


@pytest.mark.parametrize("how", ["empty", "truncated", "flipped"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(halted, run, tmp_path, capsys, how):
    damage(RunDirectory(halted).saved()[-1], how)
    with (halted / "metrics.jsonl").open("a") as file:
        file.write('{"step": 25, "torn')
    assert run(train, "resume=out") == 0
    printed = capsys.readouterr().out
    assert "step_0000000024.pt" in printed
    assert "trying the checkpoint before" in printed
    assert "resuming at step 23 with 23 transitions" in printed
    assert run(train, *SHORT, "run_dir=whole") == 0
    assert_same_run(tmp_path / "whole", halted)


def test_a_missing_part_of_the_replay_gives_way_too_and_then_to_a_refill(halted, run, capsys):
    parts = sorted((halted / "replay").iterdir())
    parts[-1].unlink()
    assert run(train, "resume=out") == 0
    printed = capsys.readouterr().out
    assert "the replay of step 24 is not whole" in printed
    assert "resuming at step 23 with 23" in printed
    (halted / "evaluations.jsonl").write_text("")
    parts[0].unlink()
    assert run(train, "resume=out") == 0
    assert "resuming at step 24 with 0 transitions" in capsys.readouterr().out


def test_without_a_whole_checkpoint_nothing_is_touched(halted, run, capsys):
    for path in RunDirectory(halted).saved():
        damage(path, "truncated")
    before = (halted / "metrics.jsonl").read_bytes()
    assert run(train, "resume=out") == 2
    assert one_line(capsys.readouterr().err)
    assert (halted / "metrics.jsonl").read_bytes() == before


def limited():
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # bytes of a file, fewer than a checkpoint's


def test_a_disk_that_takes_no_more_leaves_the_checkpoint_before(halted):
    before = {path.name: path.read_bytes() for path in RunDirectory(halted).saved()}
    failed = Program(halted.parent, SCRIPTS / "train.py", "resume=out", prepare=limited)
    _, error = failed.communicate()
    assert failed.returncode == 1
    assert one_line(error)
    assert "cannot write out/checkpoints/step_0000000024.pt: File too large" in error
    assert {path.name: path.read_bytes() for path in RunDirectory(halted).saved()} == before
    assert not list(halted.rglob("*.partial"))
    again = Program(halted.parent, SCRIPTS / "train.py", "resume=out")
    again.communicate()
    assert again.returncode == 0


def test_two_processes_do_not_share_a_directory(halted):
    files = RunDirectory(halted)
    files.lock()
    second = Program(halted.parent, SCRIPTS / "train.py", "resume=out")
    _, error = second.communicate()
    assert second.returncode == 2
    assert one_line(error)
    assert "is in use by process" in error


def test_a_directory_that_cannot_be_made_is_named(run, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(train, *TINY, "run_dir=file/out") == 2
    assert "cannot create run_dir file/out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reward", "size", "words"),
    [
        (float("nan"), 6, "reward must be finite, in float32 too, found nan"),
        (1.0, 7, "step must give an observation of shape [6], the obs_size"),
    ],
)
def test_an_environment_that_breaks_is_named(run, tmp_path, capsys, monkeypatch, reward, size, words):
    step = PointMassTask.step

    def broken(self, action):
        obs, value, *flags = step(self, action)
        if self._time == 25 and self._sin == 1.0:
            return np.resize(obs, size), reward, *flags
        return obs, value, *flags

    monkeypatch.setattr(PointMassTask, "step", broken)
    assert run(train, *TINY, EVERY_STEP, "run_dir=out") == 1
    error = capsys.readouterr().err
    assert one_line(error)
    assert "task turn-90, copy 0" in error
    assert words in error
    assert RunDirectory(tmp_path / "out").saved()
    assert rows(tmp_path / "out" / "metrics.jsonl")


def test_a_clock_set_back_changes_nothing(halted, run):
    for number, path in enumerate(RunDirectory(halted).saved()):
        os.utime(path, (1000 - number, 1000 - number))
    assert run(train, "resume=out") == 0
    assert without_times(halted / "metrics.jsonl")[-1]["step"] == 24


@pytest.mark.parametrize(("mode", "status"), [("stop", 1), ("skip", 0)])
def test_divergence_stops_the_run_or_is_skipped(run, tmp_path, capsys, monkeypatch, mode, status):
    update = SAC.update

    def poisoned(self, batch, diagnose):
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 15:
            batch.reward[2] = float("inf")
        return update(self, batch, diagnose)

    monkeypatch.setattr(SAC, "update", poisoned)
    assert run(train, *TINY, f"on_divergence={mode}", "run_dir=out") == status
    printed = capsys.readouterr()
    if mode == "stop":
        assert one_line(printed.err)
        assert "critic/loss of task turn-180" in printed.err
    else:
        assert rows(tmp_path / "out" / "metrics.jsonl")[-1]["skipped_updates"] == 1
        assert rows(tmp_path / "out" / "evaluations.jsonl")[-1]["final"]


def test_memory_that_does_not_suffice_is_one_line_with_what_is_needed(run, monkeypatch, capsys):
    def exhausted(self, batch, diagnose):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SAC, "update", exhausted)
    assert run(train, *TINY, "run_dir=out") == 2
    error = capsys.readouterr().err
    assert one_line(error)
    assert "cpu has not enough free memory" in error
    assert "the replay 0.0 GB; choose a smaller batch_size, task_chunk or replay_capacity" in error


def test_results_that_may_only_be_read_have_their_table_all_the_same(tiny_run, run, monkeypatch, capsys):
    write = Path.write_text

    def refuse(self, *arguments, **options):
        if self.name.startswith("evaluation.json"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return write(self, *arguments, **options)

    monkeypatch.setattr(Path, "write_text", refuse)
    assert run(evaluate, "out", "--episodes", "1") == 0
    shown = capsys.readouterr()
    assert "turn-270" in shown.out
    assert "the evaluation of out is shown here only" in " ".join(shown.err.split())
    assert "Read-only file system" in shown.err


def test_a_replay_that_cannot_be_allocated_is_one_line(run, tmp_path, monkeypatch, capsys):
    empty = torch.empty

    def refusing(*shape, **options):
        if shape[-1] == 10:  # O + A + 2
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory"
            )
        return empty(*shape, **options)

    monkeypatch.setattr(torch, "empty", refusing)
    assert run(train, *TINY, "run_dir=out") == 2
    error = capsys.readouterr().err
    assert one_line(error)
    assert "cpu has not enough free memory" in error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_and_its_table_need_no_locale(tiny_run):
    """Its files are UTF-8, and what a terminal cannot show is shown otherwise."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for program in (("train.py", "resume=out", "steps_per_task=61"), ("evaluate.py", "out")):
        command = [sys.executable, str(SCRIPTS / program[0]), *program[1:]]
        subprocess.run(command, cwd=tiny_run.parent, env=os.environ | plain, capture_output=True, check=True)
