"""Policies packed from a run: what the folder holds, what takes it, and how it is named in the package."""

import json
import shutil

import pytest
import torch

import mtrl
from mtrl import policies
from mtrl.cli import compare, evaluate, export, pack, record, runs, train
from mtrl.config import recorder
from mtrl.errors import DamagedFileError, UsageError
from tests.tiny_run import rows


@pytest.fixture(scope="module")
def packed_once(finished_tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("package") / "robot"
    facts = pack.pack_policy(finished_tiny_run, folder, half=True, horizons=[20], note="alone")
    assert facts == json.loads((folder / policies.FACTS).read_text())
    return folder


@pytest.fixture
def package(packed_once, run, tmp_path, monkeypatch):
    """The folder of the package's policies, with one that is called robot; the current one is empty."""
    folder = shutil.copytree(packed_once.parent, tmp_path / "package" / "policies")
    monkeypatch.setattr(policies, "FOLDER", folder)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return folder


def test_the_policy_acts_as_the_run_but_for_the_rounding_of_its_weights(finished_tiny_run, package):
    obs = torch.randn(100, 6, generator=torch.Generator().manual_seed(0))
    whole, small = mtrl.load(finished_tiny_run), mtrl.load("robot")
    assert small.step == whole.step
    for task in whole.task_names:
        difference = (whole.act(obs, task) - small.act(obs, task)).abs().max()
        assert 0 < difference < 1e-2


def test_the_facts_say_how_it_was_made_and_what_it_does(package, finished_tiny_run):
    facts = json.loads((package / "robot" / policies.FACTS).read_text())
    assert [found["horizon"] for found in facts["evaluations"]] == [30, 20]
    assert set(facts["evaluations"][0]["success"]) == set(mtrl.load("robot").task_names)
    assert (
        facts["before_packing"]["mean_success"]
        == rows(finished_tiny_run / "evaluations.jsonl")[-1]["mean_success"]
    )
    assert facts["command"].startswith("python scripts/train.py env=point_mass")
    assert (facts["seed"], facts["licence"], facts["dtype"], facts["note"]) == (0, "MIT", "float16", "alone")
    assert facts["updates"] > 0
    assert facts["seconds_of_training"] > 0


def test_nothing_of_the_machine_is_packed(package, finished_tiny_run):
    for path in (package / "robot").rglob("*"):
        if path.is_file():
            assert str(finished_tiny_run.parent).encode() not in path.read_bytes(), path


def test_the_programs_take_the_name(package, run, capsys, monkeypatch):
    assert run(evaluate, "robot") == 0
    assert "turn-270" in capsys.readouterr().out
    assert run(evaluate, "robot", "--episodes", "2", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["suites"]
    assert run(export, "robot", "--out", "robot.pt2") == 0
    for program in (compare, runs):
        assert run(program, "robot") == 0
    monkeypatch.setattr(recorder, "choose_backend", lambda: "none")
    assert run(record, "robot") == 2
    assert "found point_mass" in capsys.readouterr().err
    assert not (package / "robot" / "evaluation.json").exists(), "the package is for reading"


def test_what_lies_here_comes_first_and_a_separator_means_a_path(package, tiny_run, tmp_path):
    assert policies.at("robot") == package / "robot"
    assert policies.at("./robot").resolve() == tmp_path / "elsewhere" / "robot"
    shutil.copytree(tiny_run, "robot")
    assert str(policies.at("robot")) == "robot"
    assert mtrl.load("robot").step == mtrl.load(tiny_run).step


def test_an_unknown_name_is_answered_with_the_known_ones(package, run, capsys, monkeypatch):
    with pytest.raises(UsageError, match=r"no run directory at robto, nor a policy .* which has robot"):
        mtrl.load("robto")
    assert run(evaluate, "robto") == 2
    assert "which has robot" in capsys.readouterr().err
    monkeypatch.setattr(policies, "FOLDER", package / "robot")
    with pytest.raises(UsageError, match="which has none"):
        mtrl.load("robot")


def bent(weights):
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")


def replaced(weights):
    """By a checkpoint that is whole: of other weights."""
    state = mtrl.runs.checkpoint.load(weights, torch.device("cpu"))
    state["agent"]["actor"]["network"]["shared"] += 1
    mtrl.runs.checkpoint.save(weights, state)


def gone(weights):
    weights.unlink()


@pytest.mark.parametrize("damage", [bent, replaced, gone])
def test_damaged_weights_are_refused_in_a_line(package, run, capsys, damage):
    (weights,) = (package / "robot").rglob("*.pt")
    damage(weights)
    with pytest.raises(DamagedFileError):
        mtrl.load("robot")
    assert run(evaluate, "robot", "--episodes", "1") == 2
    *_, error = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "install the package or copy the folder again" in error


def test_a_packed_policy_cannot_be_trained_further(package, run, capsys):
    assert run(train, f"resume={package / 'robot'}", "steps_per_task=100") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--out", "new"], "no run directory at nowhere"),
        (["out", "--out", "out"], "exists already"),
        (["out", "--out", "no/where"], "existing folder"),
        (["out", "--out", "new", "--horizon", "0"], "horizon must be"),
    ],
)
def test_what_cannot_be_packed_leaves_nothing(tiny_run, run, capsys, tmp_path, arguments, words):
    before = {path.name for path in tmp_path.iterdir()}
    assert run(pack, *arguments) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]
    assert {path.name for path in tmp_path.iterdir()} == before
