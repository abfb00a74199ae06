"""Runs that are killed come back as if nothing had happened: the real command, the last bit."""

import random
import signal
import sys
import time
from functools import partial

import pytest

from mtrl.cli import train
from mtrl.runs.directory import RunDirectory
from tests.tiny_run import TINY, assert_same_run, train_once
from tests.waiting import wait_until
from tests.warm_start import SCRIPTS, Program

CAPACITY = 150  # of the runs on the toy suite
OFTEN = "checkpoint_minutes=0.0005"
TOY = [
    *TINY,
    OFTEN,
    "steps_per_task=400",
    "evaluation_interval=100",
    "replay_capacity=150",
    "aggregator=moco",
    "env.copies=2",
]
METAWORLD = [
    "env=custom",
    "env.tasks=[reach-v3,drawer-close-v3]",
    "env.horizon=40",
    "agent.network.hidden=[16]",
    "steps_per_task=300",
    "warmup_steps=30",
    "batch_size=8",
    "replay_capacity=200",
    "log_interval=10",
    "evaluation_interval=100",
    "evaluation_episodes=2",
    "final_episodes=2",
    OFTEN,
]


def start(folder, *options):
    return Program(folder, SCRIPTS / "train.py", *options)


def finish(folder, *options):
    process = start(folder, *options)
    return process, "".join(process.communicate())


def under_way(process, metrics, size):
    return process.poll() is not None or (metrics.exists() and metrics.stat().st_size != size)


def kill_again_and_again(folder, options, kills, seed):
    """The same command until it has been killed ``kills`` times, then once to its end."""
    moments = random.Random(seed)
    metrics = folder / "killed" / "metrics.jsonl"
    for _ in range(kills):
        process = start(folder, *options, "run_dir=killed", "resume=auto")
        size = metrics.stat().st_size if metrics.exists() else 0
        if moments.random() < 0.8:  # else while it starts
            wait_until(partial(under_way, process, metrics, size))
        time.sleep(moments.random() * 0.5)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "the run was over before it was killed"
    process, printed = finish(folder, *options, "run_dir=killed", "resume=auto")
    assert process.returncode == 0, printed


@pytest.mark.parametrize(
    ("options", "kills"), [(TOY, 3), ([*METAWORLD, "env.workers=2"], 1)], ids=["toy", "metaworld"]
)
def test_a_run_that_is_killed_ends_as_the_one_that_is_not(options, kills, run, tmp_path):
    assert run(train, *options, "run_dir=whole") == 0
    kill_again_and_again(tmp_path, options, kills, seed=0)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", CAPACITY)


@pytest.mark.slow
def test_fifty_kills_of_a_toy_run(run, tmp_path):
    options = [*TOY, "steps_per_task=6000", "evaluation_interval=1500"]
    assert run(train, *options, "run_dir=whole") == 0
    kill_again_and_again(tmp_path, options, 50, seed=1)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", CAPACITY)


@pytest.mark.slow
def test_ten_kills_of_mt10(run, tmp_path):
    options = ["env=mt10", *(word for word in METAWORLD if not word.startswith("env")), "steps_per_task=600"]
    assert run(train, *options, "run_dir=whole") == 0
    kill_again_and_again(tmp_path, options, 10, seed=2)
    assert_same_run(tmp_path / "whole", tmp_path / "killed", CAPACITY)


SIGNALS = (  # and seconds to wait
    (signal.SIGINT, 0.05),
    (signal.SIGTERM, 0.3),
    (signal.SIGHUP, 0.1),
    (signal.SIGUSR1, 0.0),
    (signal.SIGUSR2, 0.0),
)
RARELY = [*TOY, "checkpoint_minutes=60"]  # so that the only checkpoints are those of signals


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "whole"
    train_once(*RARELY, f"run_dir={out}")
    return out


def test_a_signal_ends_the_run_within_a_step_and_loses_nothing(undisturbed, tmp_path):
    for number, delay in SIGNALS:
        process = start(tmp_path, *RARELY, "run_dir=killed", "resume=auto")
        metrics = tmp_path / "killed" / "metrics.jsonl"
        wait_until(partial(under_way, process, metrics, metrics.stat().st_size if metrics.exists() else 0))
        time.sleep(delay)
        process.send_signal(number)
        if number != signal.SIGINT:  # a second one leaves at once
            process.send_signal(number)
        printed, _ = process.communicate()
        assert process.returncode == 128 + number
        assert f"{sys.executable} {SCRIPTS}/train.py resume=killed" in printed
        assert RunDirectory(tmp_path / "killed").saved()
    assert finish(tmp_path, "resume=killed")[0].returncode == 0
    assert_same_run(undisturbed, tmp_path / "killed", CAPACITY)


def test_the_same_command_finds_its_own_run_and_no_other(run, tmp_path, capsys):
    assert run(train, *TINY, "run_dir=out", "resume=auto") == 0
    assert run(train, *TINY, "run_dir=out", "resume=auto") == 0
    assert "is finished" in capsys.readouterr().out
    assert run(train, *TINY, "run_dir=out", "resume=auto", "seed=5") == 2
    assert "another configuration, which differs in seed" in capsys.readouterr().err
    assert run(train, *TINY, "resume=auto") == 0
    (only,) = (tmp_path / "runs").glob("*/*")
    (only / "evaluations.jsonl").write_text("")  # as if the final evaluation were still to come
    assert run(train, *TINY, "resume=auto") == 0
    assert list((tmp_path / "runs").glob("*/*")) == [only]
    assert run(train, *TINY, "resume=auto", "seed=5") == 0
    assert len(list((tmp_path / "runs").glob("*/*"))) == 2


def test_small_checkpoints_refill_the_replay(run, tmp_path, capsys):
    small = [*TINY, "checkpoint_replay=false", "run_dir=out"]
    assert run(train, *small) == 0
    out = tmp_path / "out"
    assert not (out / "replay").exists()
    (out / "evaluations.jsonl").write_text("")
    config = out / "config.yaml"
    config.write_text(config.read_text().replace("steps_per_task: 60", "steps_per_task: 90"))
    assert run(train, "resume=out") == 0
    assert "resuming at step 60 with 0 transitions" in capsys.readouterr().out


@pytest.mark.gpu
@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_with_another_kind_of_device(run, capsys, tmp_path, first, second):
    assert run(train, *TINY, "run_dir=out", f"device={first}", "aggregator=moco") == 0
    config = tmp_path / "out" / "config.yaml"
    config.write_text(
        config.read_text().replace("steps_per_task: 60", "steps_per_task: 120").replace(first, second, 1)
    )
    (tmp_path / "out" / "evaluations.jsonl").write_text("")
    capsys.readouterr()
    assert run(train, "resume=out", f"device={second}") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "random numbers start anew from the seed and the step" in printed
    assert (tmp_path / "out" / "checkpoints" / "step_0000000120.pt").exists()
