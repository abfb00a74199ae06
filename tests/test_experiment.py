"""Runs from Python: the command line's own files, objects without a name, threads, interruptions."""

import json
import os
import signal
import threading
from functools import partial

import pytest
import torch
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

import mtrl
from mtrl.agents.networks import MultiHead, OneHotMLP
from mtrl.agents.values import CategoricalValue
from mtrl.aggregators import CAGrad, CorrelationReduced, GramAggregator
from mtrl.cli import evaluate, report, train
from mtrl.envs.point_mass import PointMassSuite
from mtrl.errors import UsageError
from mtrl.training.signals import RunInterruptedError
from mtrl.training.trainer import Trainer
from tests.envs.gymnasium.tiny import Echo
from tests.tiny_run import TINY, assert_same_run, equal, rows

QUICK = {
    "experiment": "toy",
    "display": False,
    "steps_per_task": 60,
    "warmup_steps": 10,
    "batch_size": 4,
    "log_interval": 20,
    "evaluation_interval": 30,
    "evaluation_episodes": 2,
    "final_episodes": 2,
    "conflict_interval": 1,
    "exploration_rate": 0.1,
}
SMALL = {"network": {"hidden": [8]}, "actor_polyak": 0.1}
quick = partial(mtrl.Experiment, **QUICK, agent=SMALL)


class FirstTask(GramAggregator):
    """Its name is found by every process that finds this file."""

    def __init__(self, num_tasks, *, strength=1.0):
        super().__init__(num_tasks)
        self.strength = strength

    def weights(self, gram, losses, shares):
        weights = gram.new_zeros(self.num_tasks)
        weights[0] = self.strength
        return weights


def nameless():
    """A class that nothing but this call gives out."""

    class Nameless(FirstTask):
        pass

    return Nameless


@pytest.fixture(autouse=True)
def in_an_empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def config(path):
    return OmegaConf.to_container(OmegaConf.load(path / "config.yaml"))


def test_a_command_and_a_call_write_the_same_directory(run, tmp_path):
    options = ["aggregator=cagrad", "aggregator.c=0.4", "critic_aggregator=pcgrad", "seed=3"]
    for folder in ("command", "call"):
        (tmp_path / folder).mkdir()
    os.chdir("command")
    assert run(train, *TINY, *options, "run_dir=out") == 0
    os.chdir("../call")
    found = quick(
        aggregator={"preset": "cagrad", "c": 0.4}, critic_aggregator="pcgrad", seed=3, run_dir="out"
    ).train()
    command, call = (tmp_path / folder / "out" for folder in ("command", "call"))
    assert (command / "config.yaml").read_text() == (call / "config.yaml").read_text()
    manifests = [json.loads((out / "manifest.json").read_text()) for out in (command, call)]
    for manifest in manifests:
        del manifest["created"]
    assert manifests[0] == manifests[1]
    names = [sorted(str(path.relative_to(out)) for path in out.rglob("*")) for out in (command, call)]
    names = [[name for name in found if "tfevents" not in name] for found in names]
    assert names[0] == names[1]
    assert_same_run(command, call)
    assert found.mean_success == rows(call / "evaluations.jsonl")[-1]["mean_success"]
    action = mtrl.load("out").act(torch.zeros(6), task="turn-90")
    assert action.shape == (2,)


def test_what_a_command_can_name_is_written_as_the_command_writes_it(run, tmp_path):
    mine = ["aggregator._target_=tests.test_experiment.FirstTask", "+aggregator.strength=0.5"]
    suite = ["env._target_=mtrl.envs.point_mass.PointMassSuite", "env.tasks=3"]
    assert run(train, *TINY, *mine, *suite, "run_dir=command") == 0
    quick(
        env=partial(PointMassSuite, tasks=3), aggregator=partial(FirstTask, strength=0.5), run_dir="call"
    ).train()
    command, call = (config(tmp_path / name) for name in ("command", "call"))
    assert command | {"run_dir": "call"} == call
    assert run(train, "resume=call") == 2, "it is finished"


def test_objects_within_objects_are_named_too():
    smooth = partial(CorrelationReduced, inner=partial(CAGrad, c=0.4), alpha=0.9)
    found = quick(agent={"critic_network": partial(OneHotMLP, hidden=(4, 4))}, aggregator=smooth).config
    assert found.aggregator == {
        "_target_": "mtrl.aggregators.CorrelationReduced",
        "inner": {"_target_": "mtrl.aggregators.CAGrad", "_partial_": True, "c": 0.4},
        "alpha": 0.9,
    }
    assert found.agent.critic_network.hidden == [4, 4]
    assert found.agent.network.hidden == [64, 64], "what is not given is the preset's"


def test_a_class_in_the_place_of_the_presets_keeps_the_options_that_both_have():
    found = quick(agent={"network": MultiHead}).config.agent.network
    assert found == {"_target_": "mtrl.agents.networks.MultiHead", "_partial_": True, "hidden": [64, 64]}


def test_options_are_all_that_a_class_takes_whether_or_not_its_preset_lists_them():
    value = CategoricalValue(low=-1.0, high=1.0, atoms=5)
    found = quick(agent=SMALL | {"value": value}, run_dir="out")
    assert found.config.agent.value["_target_"] == "mtrl.agents.values.CategoricalValue"
    found.train()
    mine = {"_target_": "tests.test_experiment.FirstTask", "strength": 0.5}
    assert quick(aggregator=mine).config.aggregator == mine
    assert quick(seed=1e3).config.seed == 1000
    assert quick(agent={"preset": "nested_moco", "reward_scale": 2.0}).config.agent.reward_scale == 2.0


def test_gymnasiums_environments_are_given_as_classes_with_options_by_task():
    tasks = ["Pendulum-v1", Echo]
    options = {"Pendulum-v1": {"g": 5.0}, Echo: {"scale": 0.5}}
    found = quick(env={"preset": "gymnasium", "tasks": tasks, "options": options}).config.env
    name = f"{Echo.__module__}.Echo"
    assert found.tasks == ["Pendulum-v1", name]
    assert found.options == {"Pendulum-v1": {"g": 5.0}, name: {"scale": 0.5}}


def test_a_run_goes_on_with_the_suite_that_began_it(interrupt):
    interrupt()
    with pytest.raises(RunInterruptedError):
        quick(env=PointMassSuite(seed=5, tasks=3), run_dir="out").train()
    with pytest.raises(UsageError, match=r"differs in goals \(.*\); give the same one"):
        quick(env=PointMassSuite(seed=6, tasks=3), run_dir="out", resume=True).train()
    found = quick(env=PointMassSuite(seed=5, tasks=3), run_dir="out", resume=True)
    assert "spec" not in found.config.env
    assert found.train() is not None


@pytest.fixture
def interrupt(monkeypatch):
    """Calling it makes the next run get a Ctrl-C at its first row of the log."""
    log = Trainer._log

    def log_and_interrupt(trainer, *arguments):
        log(trainer, *arguments)
        monkeypatch.setattr(Trainer, "_log", log)
        os.kill(os.getpid(), signal.SIGINT)

    return lambda: monkeypatch.setattr(Trainer, "_log", log_and_interrupt)


def test_what_no_command_can_name_trains_and_is_resumed_from_python_alone(run, interrupt, tmp_path, capsys):
    mine = {"aggregator": partial(nameless(), strength=0.5), "critic_aggregator": CAGrad(4, c=0.3)}
    quick(**mine, run_dir="whole").train()
    interrupt()
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(RunInterruptedError, match=r"at step 20; .* run_dir='out' and resume=True"):
        quick(**mine, run_dir="out", display=True).train()
    assert signal.getsignal(signal.SIGINT) is handler
    assert capsys.readouterr().out.count("only Python can resume") == 2
    assert run(train, "resume=out") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert (
        "aggregator is tests.test_experiment.nameless.<locals>.Nameless, which was given from Python" in error
    )

    assert quick(**mine, run_dir="out", resume=True).train() is not None
    assert_same_run(tmp_path / "whole", tmp_path / "out")
    assert run(evaluate, "out") == 0
    assert run(report, "out", "--out", "report.html") == 0
    assert "no command" in (tmp_path / "report.html").read_text()
    assert mtrl.load("out").step == 60
    assert run(evaluate, "out", "--episodes", "2") == 0, "acting needs no aggregator"
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    final = rows(tmp_path / "out" / "evaluations.jsonl")[-1]
    assert found["return"] == final["return"]
    with pytest.raises(UsageError, match=r"differs in critic_aggregator\.c"):
        quick(**mine | {"critic_aggregator": CAGrad(4, c=0.9)}, run_dir="out", resume=True)


def test_a_run_goes_on_when_it_is_called_again(interrupt, tmp_path):
    quick(run_dir="whole").train()
    run = quick(run_dir="out")
    interrupt()
    with pytest.raises(KeyboardInterrupt):
        run.train()
    found = run.train()
    assert_same_run(tmp_path / "whole", tmp_path / "out")
    assert quick(run_dir="out", resume="auto").train().as_record() == found.as_record()


def test_what_computes_is_recorded_kept_on_resume_and_left_as_it_was(interrupt, tmp_path, capsys):
    found = (torch.get_num_threads(), torch.get_float32_matmul_precision())
    interrupt()
    with pytest.raises(RunInterruptedError):
        quick(run_dir="out").train()
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["products"].endswith("float32")
    assert manifest["torch_threads"] == 1  # the networks are small
    path.write_text(json.dumps(manifest | {"products_checksum": "of another processor", "torch_threads": 64}))
    quick(run_dir="out", resume=True, display=True).train()
    said = " ".join(capsys.readouterr().out.split())
    assert "this run began with threads 64 (now 1), products that add up to 'of another processor'" in said
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == found


def test_a_network_without_a_name_is_loaded_when_it_is_given_again():
    class Mine(OneHotMLP):
        pass

    quick(agent={"network": partial(Mine, hidden=(8,))}, run_dir="out").train()
    with pytest.raises(UsageError, match="give it as network"):
        mtrl.load("out")
    assert mtrl.load("out", network=Mine).act(torch.zeros(6), task="turn-0").shape == (2,)


def test_each_side_has_its_own_copy_of_an_aggregator():
    mine = mtrl.aggregators.MoCo(3)
    before = {name: value.clone() for name, value in mine.state_dict().items()}
    quick(env=PointMassSuite(seed=5, tasks=3), aggregator=mine, run_dir="out").train()
    assert equal(mine.state_dict(), before)


def test_a_thread_of_a_program_that_uses_hydra_itself_can_train(tmp_path):
    quick(run_dir="main").train()
    outcome = []
    with initialize_config_module("mtrl.configs", version_base="1.3"):
        torch.manual_seed(7)
        expected = torch.rand(3)
        torch.manual_seed(7)
        thread = threading.Thread(target=lambda: outcome.append(quick(run_dir="thread").train()))
        thread.start()
        thread.join()
        assert torch.equal(torch.rand(3), expected)
        assert compose("train", ["seed=4"]).seed == 4
    assert outcome[0].task_names == ("turn-0", "turn-90", "turn-180", "turn-270")
    assert_same_run(tmp_path / "main", tmp_path / "thread")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"aggregator": "cargad"}, "choose one of: .*cagrad, cagrad_fast"),
        ({"agent": {"lerning_rate": 1e-3}}, "did you mean 'learning_rate'"),
        ({"agent": {"netwrok": OneHotMLP}}, "did you mean 'network'"),
        ({"batchsize": 3}, "did you mean 'batch_size'"),
        ({"steps_per_task": 2e6 + 0.5}, "steps_per_task must be an integer"),
        ({"batch_size": object()}, "batch_size must be a number"),
        ({"env": mtrl.SAC}, "env must be a class with the methods of"),
        (
            {"agent": {"network": partial(OneHotMLP, hidden=[8], width=3)}},
            "unexpected keyword argument 'width'",
        ),
        ({"agent": {"network": torch.nn.Linear(2, 2)}}, "not an object"),
        ({"aggregator": partial(CAGrad, cc=1)}, "aggregator .* unexpected keyword argument 'cc'"),
        ({"aggregator": partial(FirstTask, powr=1)}, "aggregator .* unexpected keyword argument 'powr'"),
        ({"aggregator": CAGrad(3)}, "the suite's 4 tasks, found one for 3"),
        ({"aggregator": lambda num_tasks: 3}, "it made int"),
        ({"aggregator": 3}, "or what makes one; found 3"),
        ({"resume": True, "run_dir": "nowhere"}, "began no run in nowhere"),
        ({"resume": True}, "began no run in runs/point_mass_sac_cagrad that is not finished"),
        ({"env": Echo}, '"preset": "gymnasium", "tasks": \\[Echo\\]'),
        ({"env": {"preset": "gymnasium", "tasks": [type("Local", (Echo,), {})]}}, "a module of its own"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_written(given, expected, tmp_path):
    with pytest.raises(UsageError, match=expected) as caught:
        quick(**given).train()
    assert type(caught.value) is UsageError
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
