"""The training program as a user runs it."""

import json
import signal
from pathlib import Path

import pytest

from mtrl.cli import evaluate, train
from tests.tiny_run import TINY, rows, without_times
from tests.waiting import wait_until
from tests.warm_start import SCRIPTS, Program

ROOT = Path(__file__).parent.parent.parent.parent


def test_a_run_leaves_everything_needed_to_understand_it(tiny_run):
    out = tiny_run
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["versions"]["torch"]
    assert manifest["agent"]["parameters"]["temperatures"] == 4
    assert manifest["suite"]["goals_per_task"] == 50
    assert "one task" in manifest["step_units"]["step"]
    assert "resume" in (out / "config.yaml").read_text()
    assert list((out / "tensorboard").iterdir())
    evaluations = rows(out / "evaluations.jsonl")
    assert [(row["step"], row["final"]) for row in evaluations] == [(30, False), (60, True)]
    assert set(evaluations[-1]["success"]) == {"turn-0", "turn-90", "turn-180", "turn-270"}
    last = rows(out / "metrics.jsonl")[-1]
    assert (last["step"], last["total_steps"], last["updates"]) == (60, 240, 50)
    for network in ("actor", "critic"):
        assert f"{network}/conflict_fraction" in last
        assert f"{network}/worst_improvement" in last
        assert f"{network}/gradient_norm/turn-90" in last
        assert f"{network}/weight/turn-90" in last
    assert "temperature/turn-0" in last
    assert "critic/q_mean/turn-0" in last


def test_the_same_command_gives_the_same_metrics(run, tiny_run, tmp_path):
    assert run(train, *TINY, "run_dir=second") == 0
    first, second = (path / "metrics.jsonl" for path in (tiny_run, tmp_path / "second"))
    assert without_times(first) == without_times(second)
    assert run(train, *TINY, "run_dir=third", "seed=1") == 0
    assert without_times(tmp_path / "third" / "metrics.jsonl") != without_times(first)


def test_an_aggregator_in_the_users_own_file_needs_nothing_else(run, tmp_path):
    (tmp_path / "my_file.py").write_text(
        "from mtrl.aggregators import GramAggregator\n"
        "class FirstTask(GramAggregator):\n"
        "    def __init__(self, num_tasks, *, strength=1.0):\n"
        "        super().__init__(num_tasks)\n"
        "        self.strength = strength\n"
        "    def weights(self, gram, losses, shares):\n"
        "        weights = gram.new_zeros(self.num_tasks)\n"
        "        weights[0] = self.strength\n"
        "        return weights\n"
    )
    mine = "aggregator._target_=my_file.FirstTask"
    assert run(train, *TINY, "run_dir=out", mine, "+aggregator.strength=0.5") == 0
    last = rows(tmp_path / "out" / "metrics.jsonl")[-1]
    assert last["actor/weight/turn-0"] == 0.5
    assert last["actor/weight/turn-90"] == 0
    assert run(evaluate, "out", "--episodes", "2") == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["env=mt11"], "mt10, mt25, mt50, point_mass"),
        (["agent=ppo"], "sac"),
        (["aggregator=cargad"], "cagrad, cagrad_fast"),
        (["actor_aggregator=cargad"], "did you mean 'cagrad'?"),
        (["aggregator=my_file.Mine"], "aggregator._target_=my_file.Mine"),
        (["+aggregator._python_=true"], "given from Python"),
        (["experiment=quick"], "quick_mt10"),
        (["aggregator.d=1"], "c, learning_rate"),
        (["foo"], "OPTION=VALUE"),
        (["batchsize=3"], "did you mean 'batch_size'"),
        (["film_evaluations=true"], "did you mean 'record_evaluations'"),
        (["env=mt1", "env.task=reech-v3"], "reach-v3"),
        (["env=custom", "env.tasks=[push-v3,push-v3]"], "push-v3"),
        (["aggregator.c=-1"], "c must be"),
        (["aggregator.solver=fast"], "exact, sgd"),
        (["aggregator._target_=nowhere.Mine"], "nowhere"),
        (["aggregator._target_=builtins.dict"], "Aggregator"),
        (["agent.network.hidden=[]"], "hidden"),
        (["agent.learning_rate=fast"], "agent"),
        (["agent=care", "env.tasks=7"], "found none for turn-51.4286"),
        (["agent=soft_modular", "agent.network.num_modules=0"], "num_modules must be"),
        (["batch_size=0"], "batch_size must be"),
        (["steps_per_task=ten"], "steps_per_task must be"),
        (["steps_per_task=1500"], "steps_per_task must leave time for an update"),
        (
            ["steps_per_task=3000", "env.copies=2"],
            "1500 vector steps, of which the first 1500",
        ),
        (["steps_per_task=1600", "updates_per_step=1e-3"], "0.001 updates (updates_per_step)"),
        (["updates_per_step=0"], "updates_per_step must be"),
        (["warmup_steps=0"], "warmup_steps must be"),
        (["final_episodes=51"], "50 goals"),
        (["evaluation_episodes=51"], "50 goals"),
        (["seed=-1"], "seed must be"),
        (["device=cuda:99"], "device"),
        (["device=abacus"], "auto, cpu, cuda"),
        (["resume=nowhere"], "no run directory"),
        (["resume=nowhere", "seed=1"], "remove seed=1"),
    ],
)
def test_bad_input_is_one_line_with_status_2_and_nothing_written(run, tmp_path, capsys, arguments, expected):
    suite = [] if any(argument.startswith("env=") for argument in arguments) else ["env=point_mass"]
    run_dir = [] if any("resume" in argument for argument in arguments) else ["run_dir=out"]
    suite = suite if run_dir else []
    assert run(train, *suite, *arguments, *run_dir) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert expected in error
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_holds_a_run_is_left_alone(run, tiny_run, tmp_path, capsys):
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert run(train, *TINY, "run_dir=out", "seed=5") == 2
    assert "already holds a run" in capsys.readouterr().err
    assert run(train, "resume=out") == 2
    assert "finished" in capsys.readouterr().err
    after = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert before == after


def test_help_lists_every_group_and_option(run, capsys):
    assert run(train, "--help") == 0
    text = capsys.readouterr().out
    for word in (
        "steps_per_task=",
        "env=CHOICE",
        "mt50",
        "aggregator.c=",
        "agent.network.hidden=",
        "aggregator.inner.c=",
        "actor_aggregator=CHOICE",
        "quick_mt10",
    ):
        assert word in text
    configs = ROOT / "configs"
    for path in configs.glob("*/*.yaml"):
        assert f"  {path.stem} " in text


def test_ctrl_c_leaves_a_checkpoint_from_which_the_printed_command_goes_on(tmp_path):
    options = [*TINY, "run_dir=out", "steps_per_task=100000", "log_interval=5", "evaluation_interval=100000"]
    process = Program(tmp_path, SCRIPTS / "train.py", *options)
    metrics = tmp_path / "out" / "metrics.jsonl"
    wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 5)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate()
    assert process.returncode == 130
    assert "resume=out" in printed
    interrupted_at = int(next((tmp_path / "out" / "checkpoints").iterdir()).stem.removeprefix("step_"))

    config = tmp_path / "out" / "config.yaml"
    config.write_text(
        config.read_text().replace("steps_per_task: 100000", f"steps_per_task: {interrupted_at + 20}")
    )
    resumed = Program(tmp_path, SCRIPTS / "train.py", "resume=out")
    printed, _ = resumed.communicate()
    assert resumed.returncode == 0
    assert f"resuming at step {interrupted_at} with {min(interrupted_at, 4000)} transitions" in printed
    steps = [row["step"] for row in rows(metrics)]
    assert steps == sorted(set(steps))
    assert rows(tmp_path / "out" / "evaluations.jsonl")[-1]["final"]
