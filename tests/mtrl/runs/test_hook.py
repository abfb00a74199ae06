"""What a class of the user's is told of a run."""

import json
import sys
from types import SimpleNamespace

import pytest

from mtrl.cli import train
from mtrl.config.instantiate import build
from mtrl.errors import UsageError
from mtrl.runs.hook import Listener, LoggerHook
from mtrl.runs.weights_and_biases import WeightsAndBiases
from tests.tiny_run import TINY, rows

MY_FILE = """
import json
from mtrl.runs.hook import LoggerHook

class Diary(LoggerHook):
    def __init__(self, *, file):
        self.file = file

    def write(self, *words):
        with open(self.file, "a") as out:
            out.write(json.dumps(words) + "\\n")

    def begin(self, run_dir, config, step):
        self.write("begin", run_dir.name, config["seed"], step)

    def metrics(self, step, entry):
        self.write("metrics", step, entry)

    def evaluation(self, step, record):
        self.write("evaluation", step, record)

    def end(self):
        self.write("end")
"""


def test_a_class_of_ones_own_is_told_what_the_files_hold(run, tmp_path):
    (tmp_path / "my_file.py").write_text(MY_FILE)
    mine = ["logger._target_=my_file.Diary", "+logger.file=diary.jsonl"]
    assert run(train, *TINY, "run_dir=out", "seed=3", *mine) == 0
    told = rows(tmp_path / "diary.jsonl")
    assert told[0] == ["begin", "out", 3, 0]
    assert told[-1] == ["end"]
    for method, file in (("metrics", "metrics"), ("evaluation", "evaluations")):
        found = [entry for word, *_, entry in told[1:-1] if word == method]
        assert found == rows(tmp_path / "out" / f"{file}.jsonl")
    # It changes nothing that is learnt: a run that was killed goes on with it from where it was.
    path = tmp_path / "out" / "evaluations.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(path)[:-1]))
    assert run(train, "resume=out") == 0
    assert ["begin", "out", 3, 60] in rows(tmp_path / "diary.jsonl")


def test_a_hook_that_fails_is_named_once_and_called_no_more():
    class Broken(LoggerHook):
        def metrics(self, step, entry):
            raise ConnectionError("no network")

    said = []
    listener = Listener(Broken(), said.append)
    for step in range(3):
        listener.tell("metrics", step, {})
    (line,) = said
    assert "Broken failed in metrics (ConnectionError: no network): the run goes on without it" in line


def test_only_a_hook_may_be_the_logger():
    with pytest.raises(UsageError, match="must be a class derived from mtrl"):
        build("logger", {"_target_": "mtrl.aggregators.Mean"})


class FakeRun:
    def __init__(self, place):
        self.dir = str(place)
        self.logged, self.metrics, self.ended = [], [], False

    def define_metric(self, name, step_metric):
        self.metrics.append((name, step_metric))

    def log(self, values):
        self.logged.append(values)

    def finish(self):
        self.ended = True


@pytest.fixture
def wandb(monkeypatch, tmp_path):
    """A stand-in for the package that leaves a link, as it does."""
    files = tmp_path / "wandb" / "files"
    files.mkdir(parents=True)
    (files.parent / "debug.log").symlink_to("elsewhere")
    module = SimpleNamespace(Settings=dict, runs=[])

    def init(**options):
        module.options = options
        module.runs.append(FakeRun(files))
        return module.runs[-1]

    module.init = init
    monkeypatch.setitem(sys.modules, "wandb", module)
    return module


def test_weights_and_biases_has_numbers_is_offline_and_leaves_no_link(wandb, tmp_path):
    hook = WeightsAndBiases(project="mine")
    hook.begin(tmp_path, {"seed": 1}, 0)
    assert wandb.options["mode"] == "offline"
    assert wandb.options["project"] == "mine"
    assert wandb.options["config"] == {"seed": 1}
    hook.metrics(5, {"step": 5, "actor/loss/a": 0.5, "actor/cosine": [0.1]})
    hook.evaluation(6, {"mean_success": 0.5, "success": {"a": 0.5}, "return": {"a": 2.0}})
    hook.end()
    (made,) = wandb.runs
    assert made.logged == [
        {"step": 5, "actor/loss/a": 0.5},
        {
            "step": 6,
            "evaluation/mean_success": 0.5,
            "evaluation/success/a": 0.5,
            "evaluation/return/a": 2.0,
        },
    ]
    assert made.ended
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    first = wandb.options["id"]
    again = WeightsAndBiases()
    again.begin(tmp_path, {}, 5)
    assert wandb.options["id"] == first, "a resumed run goes on in W&B"


def test_what_is_missing_or_wrong_is_said_before_there_is_a_directory(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert run(train, *TINY, "run_dir=out", "logger=wandb") == 2
    assert "pip install -e '.[wandb]'" in capsys.readouterr().err
    assert run(train, *TINY, "run_dir=out", "logger=wandb", "logger.mode=sometimes") == 2
    assert "logger.mode must be one of offline, online, disabled" in capsys.readouterr().err
    assert run(train, *TINY, "run_dir=out", "+logger.project=x") == 2
    assert "choose logger first" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
