"""Many runs from one command: what one of them meets is not the others' business."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtrl.cli import train
from mtrl.config import sweep
from mtrl.config.compose import compose_config
from tests.tiny_run import TINY, rows

ROOT = Path(__file__).parent.parent.parent.parent
SWEEP = [sys.executable, "-m", "mtrl.cli.train", "-m", *TINY, "run_dir=study"]


def start(folder, *options, **session):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [*SWEEP, *options],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **session,
    )


def wait_for_a_run(folder, patience=300):
    """The directory of the first run that has written its configuration."""
    for _ in range(patience * 50):
        for config in folder.glob("study/*/config.yaml"):
            return config.parent
        time.sleep(0.02)
    raise AssertionError("no run was seen")


def kill_one_that_trains(folder, patience=300):
    """Kill -9 the first process of a run that has written its configuration; the run's directory."""
    for _ in range(patience * 50):
        for config in folder.glob("study/*/config.yaml"):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    command = process.read_bytes().decode().split("\0")
                except OSError:
                    continue
                if f"run_dir=study/{config.parent.name}" in command:
                    os.kill(int(process.parent.name), signal.SIGKILL)
                    return config.parent
        time.sleep(0.02)
    raise AssertionError("no run was seen")


def assert_one_killed_then_completed(folder, count, *options):
    sweeping = start(folder, *options)
    killed = kill_one_that_trains(folder)
    printed = sweeping.communicate()[0]
    assert sweeping.returncode == 1, printed
    assert f"{count - 1} runs finished, 1 failed" in printed
    assert "status -9" in printed
    assert f"run_dir=study/{killed.name}" in printed
    again = start(folder, *options)
    printed = again.communicate()[0]
    assert again.returncode == 0, printed
    assert printed.count(": finished before") == count - 1
    assert f"{count} runs finished, 0 failed" in printed
    evaluations = list(folder.glob("study/*/evaluations.jsonl"))
    assert len(evaluations) == count
    assert all(rows(path)[-1]["final"] for path in evaluations)


def test_a_killed_run_is_reported_and_completed_by_the_same_command(tmp_path):
    assert_one_killed_then_completed(tmp_path, 2, "aggregator=mean,mgda")
    assert not list(tmp_path.glob("*.yaml")), "nothing is written beside the sweep's folder"


def test_a_run_that_its_launcher_lost_is_reported_too(monkeypatch, tmp_path, capsys):
    lost = tmp_path / "lost"

    class Vanishing:
        def __init__(self, *_, **__):
            raise RuntimeError  # in place of a signal that leaves no time for anything

    monkeypatch.setattr(sweep.subprocess, "Popen", Vanishing)
    with pytest.raises(RuntimeError):
        sweep.run_one(["seed=3", f"run_dir={lost}"], ("toy", "sac", "mean"), 3)
    capsys.readouterr()
    assert sweep.report(lost, since=0, planned=1)
    printed = capsys.readouterr().out
    assert "0 runs finished, 1 failed" in printed
    assert "no status yet" in printed
    assert f"seed=3 run_dir={lost}" in printed


@pytest.mark.parametrize(
    ("status", "final", "failed"), [(0, True, 0), (1, True, 0), (0, False, 1), (1, False, 1)]
)
def test_a_run_is_finished_if_its_directory_says_so(status, final, failed, monkeypatch, tmp_path, capsys):
    class Ended:
        def __init__(self, command, **_):
            (run_dir,) = (Path(word.split("=", 1)[1]) for word in command if word.startswith("run_dir="))
            run_dir.mkdir()
            (run_dir / "evaluations.jsonl").write_text(json.dumps({"step": 1, "final": final}) + "\n")

        def wait(self):
            return status

    monkeypatch.setattr(sweep.subprocess, "Popen", Ended)
    sweep.run_one(["seed=3", f"run_dir={tmp_path / 'study'}"], ("toy", "sac", "mean"), 3)
    assert sweep.report(tmp_path / "study", since=0, planned=1) is bool(failed)
    printed = capsys.readouterr().out
    assert f"{1 - failed} runs finished, {failed} failed" in printed
    assert printed.count(f"status {status}") == 2 * failed
    assert ("status 0 and no final evaluation" in printed) is (status == 0 and not final)


def test_ctrl_c_ends_a_sweep_with_its_report(tmp_path):
    def heed():  # a shell's background jobs do not
        signal.signal(signal.SIGINT, signal.default_int_handler)

    options = ("aggregator=mean,mgda", "steps_per_task=100000")
    sweeping = start(tmp_path, *options, start_new_session=True, preexec_fn=heed)
    wait_for_a_run(tmp_path)
    os.killpg(sweeping.pid, signal.SIGINT)
    printed = sweeping.communicate()[0]
    assert sweeping.returncode == 130, printed
    assert "Traceback" not in printed
    assert "0 runs finished, 1 failed, 1 not started" in printed
    assert "status 130" in printed


@pytest.mark.slow
def test_ray_runs_them_side_by_side_with_the_same_promises(tmp_path):
    pytest.importorskip("ray")
    assert_one_killed_then_completed(
        tmp_path, 4, "launcher=ray_local", "aggregator=mean,mgda", "seed=range(2)"
    )


def test_a_runs_name_follows_from_what_it_finds_out_alone():
    def name(*overrides):
        return sweep.run_name(overrides, ("toy", "sac", "mean"), 3)

    usual = name("seed=3", "batch_size=4")
    assert usual.startswith("toy_sac_mean-seed3-")
    assert usual == name("batch_size=4", "seed=3", "device=cpu", "run_dir=elsewhere", "launcher=ray_local")
    assert usual != name("seed=3", "batch_size=8")
    assert usual != name("seed=3")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["aggregator=mean,typo"], "unknown aggregator 'typo'"),
        (["agent.polyack=0.1,0.2"], "did you mean 'polyak'"),
        (["seed=range("], "cannot read 'seed=range('"),
        (["resume=runs/a,runs/b"], "give the same command again"),
        (["run_dir=a,b"], "run_dir must be one folder"),
        (["launcher=typo", "seed=0,1"], "unknown launcher 'typo'"),
        (["aggregator=glob(typo*)"], "matches no choice"),
    ],
)
def test_bad_input_is_one_line_with_status_2_before_any_run(run, tmp_path, capsys, options, words):
    assert run(train, "-m", *TINY, *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_glob_stands_for_the_choices_that_match():
    from_glob = sweep.choices_of([*TINY, "aggregator=glob(cagrad*)", "seed=range(2)"])
    sides = sweep.choices_of(["critic_aggregator=glob(cagrad*)"])
    assert sides == [["critic_aggregator=cagrad", "critic_aggregator=cagrad_fast"]]
    assert from_glob[-2:] == [["aggregator=cagrad", "aggregator=cagrad_fast"], ["seed=0", "seed=1"]]
    assert sweep.count([*TINY, "aggregator=glob(cagrad*)", "seed=range(2)", "device=cpu,cuda"]) == 4


def test_a_launcher_that_is_not_installed_is_named_with_its_extra(run, capsys):
    assert run(train, "-m", *TINY, "launcher=slurm", "seed=0,1") == 2
    assert "pip install hydra-submitit-launcher" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["run_dir=my sweep", "run_dir='my sweep'", r"run_dir=my\ sweep"])
def test_a_folder_may_have_a_space_in_its_name(given, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    commands = []

    class Ended:
        def __init__(self, command, **_):
            commands.append(command)

        def wait(self):
            return 0

    monkeypatch.setattr(sweep.subprocess, "Popen", Ended)
    sweep.run_one(["seed=3", given], ("toy", "sac", "mean"), 3)
    (log,) = (tmp_path / "my sweep").glob("*.log")
    (override,) = (word for word in commands[0] if word.startswith("run_dir="))
    assert compose_config([override]).run_dir == f"my sweep/{log.stem}"
