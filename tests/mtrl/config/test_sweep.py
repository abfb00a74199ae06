"""Many runs from one command: what one of them meets is not the others' business."""

import os
import signal
import time
from pathlib import Path

import pytest

from mtrl.cli import train
from mtrl.config import sweep
from mtrl.runs.directory import RunDirectory
from tests.tiny_run import TINY, rows
from tests.waiting import wait_until
from tests.warm_start import SCRIPTS, Program


def start(folder, *options, **session):
    return Program(folder, SCRIPTS / "train.py", "-m", *TINY, "run_dir=study", *options, **session)


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
    printed = "".join(sweeping.communicate())
    assert sweeping.returncode == 1, printed
    assert f"{count - 1} runs finished, 1 failed" in printed
    assert "status -9" in printed
    assert f"run_dir=study/{killed.name}" in printed
    again = start(folder, *options)
    printed = "".join(again.communicate())
    assert again.returncode == 0, printed
    assert printed.count(": finished before") == count - 1
    assert f"{count} runs finished, 0 failed" in printed
    evaluations = list(folder.glob("study/*/evaluations.jsonl"))
    assert len(evaluations) == count
    assert all(rows(path)[-1]["final"] for path in evaluations)


def test_a_killed_run_is_reported_and_completed_by_the_same_command(tmp_path):
    assert_one_killed_then_completed(tmp_path, 2, "aggregator=mean,mgda")
    assert not list(tmp_path.glob("*.yaml")), "nothing is written beside the sweep's folder"


def heed():  # a shell's background jobs do not
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_sweep_with_checkpoints_and_its_report(number, tmp_path):
    """Ctrl-C reaches the run too; a scheduler may know the sweep's process alone."""
    options = ("aggregator=mean,mgda", "steps_per_task=100000", "log_interval=1")
    sweeping = start(tmp_path, *options, alone=True, prepare=heed)
    run = wait_for_a_run(tmp_path)
    wait_until(lambda: (run / "metrics.jsonl").exists())
    (os.killpg if number == signal.SIGINT else os.kill)(sweeping.pid, number)
    printed = "".join(sweeping.communicate())
    assert sweeping.returncode == 128 + number, printed
    assert "Traceback" not in printed
    assert "0 runs finished, 1 failed, 1 not started" in printed
    assert f"status {128 + number}" in printed
    assert RunDirectory(run).saved()
    assert sorted(path.name for path in run.parent.iterdir()) == [run.name, f"{run.name}.log"]


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
    assert usual == name("seed=3", "batch_size=4", "env.workers=2", "checkpoint_minutes=1", "logger.x=y")
    assert usual != name("seed=3", "batch_size=8")
    assert usual != name("seed=3")


def test_runs_that_a_sweep_compares_have_names_of_their_own_whatever_they_differ_in():
    runs = [["seed=3", "threads=2", f"gradients={way}"] for way in ("rows", "layers")]
    assert sweep.compared(runs) == {"gradients"}
    names = {sweep.run_name(run, ("toy", "sac", "mean"), 3, sweep.compared(runs)) for run in runs}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["aggregator=mean,typo"], "unknown aggregator 'typo'"),
        (["agent.polyack=0.1,0.2"], "did you mean 'polyak'"),
        (["seed=range("], "cannot read 'seed=range('"),
        (["resume=runs/a,runs/b"], "give the same command again"),
        (["run_dir=a,b"], "run_dir must be one folder"),
        (["run_dir=out/${seed}", "seed=0,1"], "run_dir must be one folder"),
        (["run_dir=${x}", "seed=0,1"], "can be given from within it"),
        (["launcher=typo", "seed=0,1"], "unknown launcher 'typo'"),
        (["aggregator=glob(typo*)"], "matches no choice"),
        (["seed=0,1,x"], "seed must be an integer"),
        (["agent.network.hidden=[8],[0]"], "hidden must be"),
        (["final_episodes=2,3,51"], "final_episodes must be at most the 50 goals"),
        (["steps_per_task=60,20", "warmup_steps=10,20"], "steps_per_task must leave time for an update"),
        (["seed=interval(0,3)"], "values without end"),
    ],
)
def test_bad_input_is_one_line_with_status_2_before_any_run(run, tmp_path, capsys, options, words):
    assert run(train, "-m", *TINY, *options) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_sweeps_folder_may_name_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path))
    assert sweep.folder_of(["run_dir='${oc.env:SCRATCH}/a'"]) == tmp_path / "a"


def test_a_glob_stands_for_the_choices_that_match():
    from_glob = sweep.choices_of([*TINY, "aggregator=glob(cagrad*)", "seed=range(2)"])
    sides = sweep.choices_of(["critic_aggregator=glob(cagrad*)"])
    assert sides == [["critic_aggregator=cagrad", "critic_aggregator=cagrad_fast"]]
    assert from_glob[-2:] == [["aggregator=cagrad", "aggregator=cagrad_fast"], ["seed=0", "seed=1"]]
    assert sweep.count([*TINY, "aggregator=glob(cagrad*)", "seed=range(2)", "launcher=ray_local"]) == 4


def test_a_launcher_that_is_not_installed_is_named_with_its_extra(run, capsys):
    assert run(train, "-m", *TINY, "launcher=slurm", "seed=0,1") == 2
    assert "pip install hydra-submitit-launcher" in capsys.readouterr().err
