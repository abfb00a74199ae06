"""Training with worker processes: the same run, and what it does when they fail."""

import os
import signal
from pathlib import Path

import pytest

from mtrl.cli import train
from tests.tiny_run import rows, without_times
from tests.waiting import wait_until
from tests.warm_start import SCRIPTS, Program

TASKS = [
    "env=custom",
    "env.tasks=[reach-v3,drawer-close-v3]",
    "env.horizon=15",
    "agent.network.hidden=[16]",
    "steps_per_task=40",
    "warmup_steps=10",
    "batch_size=8",
    "replay_capacity=100",
    "log_interval=10",
    "evaluation_interval=20",
    "evaluation_episodes=2",
    "final_episodes=3",
]


def test_the_run_does_not_depend_on_the_number_of_workers_nor_on_the_fast_step(run, tmp_path):
    options = {"plain": ["env.workers=0", "env.fast=false"], "fast": ["env.workers=2"]}
    for name, choice in options.items():
        assert run(train, *TASKS, *choice, f"run_dir={name}") == 0
    for file in ("metrics.jsonl", "evaluations.jsonl"):
        plain, fast = (without_times(tmp_path / name / file) for name in options)
        assert plain == fast
    assert plain[-1]["episodes_per_task"] == 3


def test_an_environment_that_always_raises_ends_the_run_with_a_checkpoint(run, tmp_path, capfd, monkeypatch):
    # A module that Python imports at start-up reaches the worker processes too.
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "if sys.argv[:1] == ['-m']:\n"
        "    from mtrl.envs.metaworld.task import MetaWorldTask\n"
        "    step = MetaWorldTask.step\n"
        "    def broken(self, action):\n"
        "        if type(self.env).__name__.endswith('ReachEnvV3') and self.env.curr_path_length == 12:\n"
        "            raise RuntimeError('the arm fell off')\n"
        "        return step(self, action)\n"
        "    MetaWorldTask.step = broken\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert run(train, *TASKS, "evaluation_interval=40", "env.workers=2", "run_dir=out") == 1
    printed = capfd.readouterr()
    assert "task reach-v3, copy 0: raised RuntimeError: the arm fell off" in printed.out
    assert "all episodes start anew" in printed.out
    error = printed.err.splitlines()[-1]
    assert error.startswith("error: worker 1 of 2, task reach-v3, copy 0: raised RuntimeError")
    assert "replaced once" in error
    assert list((tmp_path / "out" / "checkpoints").iterdir())
    assert list((tmp_path / "out" / "replay").iterdir())


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ("env.workers=-1", "workers must be an integer from 0 to 2, found -1"),
        ("env.workers=3", "found 3; auto is usual, there are 2 environments"),
        ("env.workers=many", "found 'many'"),
        ("env.copies=0", "copies must be"),
        ("env.fast=perhaps", "fast must be true or false"),
    ],
)
def test_bad_input_is_one_line_with_status_2_and_nothing_written(run, tmp_path, capsys, choice, words):
    assert run(train, *TASKS, choice, "run_dir=out") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert words in error
    assert list(tmp_path.iterdir()) == []


def children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def long_run(tmp_path):
    """A run of two workers that is under way, its directory and its workers."""
    options = ["env.workers=2", "run_dir=out", "steps_per_task=1000000", "evaluation_interval=1000000"]
    process = Program(tmp_path, SCRIPTS / "train.py", *TASKS, *options)
    metrics = tmp_path / "out" / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and len(rows(metrics)) > 3)
    yield process, metrics, children(process.pid)
    process.kill()


def gone(pids):
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_a_killed_worker_is_replaced_and_a_second_kill_ends_the_run(long_run, tmp_path):
    process, metrics, workers = long_run
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: len(children(process.pid)) == 2 and workers[0] not in children(process.pid))
    step = rows(metrics)[-1]["step"]
    wait_until(lambda: rows(metrics)[-1]["step"] > step + 50)
    (new,) = set(children(process.pid)) - set(workers)
    os.kill(new, signal.SIGKILL)
    printed = "".join(process.communicate())
    assert process.returncode == 1
    assert "worker 1 of 2, task reach-v3, copy 0: the process was killed by SIGKILL; replaced it" in printed
    assert "error: worker 1 of 2" in printed.splitlines()[-1]
    assert gone([*workers, new])
    assert list((tmp_path / "out" / "replay").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_run(long_run, number):
    process, _, workers = long_run
    process.send_signal(number)
    process.communicate()
    assert process.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
    wait_until(lambda: gone(workers))
