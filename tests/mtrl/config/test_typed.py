"""What people type in their shells is what a run gets, and what is printed can be pasted there."""

import shlex
import subprocess

import pytest

from mtrl.config.compose import compose_config
from mtrl.config.pasted import STARTED_BY, shell_command, started_by
from mtrl.config.typed import as_meant
from mtrl.path_overrides import path_override, resuming


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("run_dir=~/x", "run_dir='~/x'"),
        ("run_dir=lr=1,seed=2", "run_dir='lr=1,seed=2'"),
        ("run_dir=прогон №1", "run_dir='прогон №1'"),
        ("run_dir=123", "run_dir='123'"),
        ("run_dir=1e6", "run_dir='1e6'"),
        ("run_dir=it's [a] (b) {c}: d\\e", "run_dir='it\\'s [a] (b) {c}: d\\e'"),
        ("run_dir='in quotes'", "run_dir='in quotes'"),
        (r"run_dir=with\ escapes", "run_dir='with escapes'"),
        ("run_dir=null", "run_dir=null"),
        ("resume=auto", "resume='auto'"),
        ("steps_per_task=1e6", "steps_per_task=1000000"),
        ("steps_per_task=2.5e5,1e+3", "steps_per_task=250000,1000"),
        ("agent.network.hidden=[1e2, 64]", "agent.network.hidden=[100, 64]"),
        ("agent.learning_rate=3e-4", "agent.learning_rate=3e-4"),
        ("aggregator.c=1.25e1", "aggregator.c=1.25e1"),
        ("steps_per_task=1e99", "steps_per_task=1e99"),
        ("agent.network.descriptions=~/Δ.npz", "agent.network.descriptions='~/Δ.npz'"),
        ("seed=range(", "seed=range("),
        ("seed", "seed"),
        ("~run_dir", "~run_dir"),
    ],
)
def test_an_override_is_read_as_it_is_meant(typed, meant):
    assert as_meant([typed]) == [meant]


def test_a_comma_is_part_of_a_path_unless_a_sweep_has_values_there():
    assert as_meant(["run_dir=a,b"], sweep=True) == ["run_dir=a,b"]
    assert as_meant(["run_dir=a,b"]) == ["run_dir='a,b'"]


@pytest.mark.parametrize(
    "path", ["a b", "it's", "a,b", "null", "'q'", "x=1", "прогон", "a\\b", "$A #1", "{a}", "[a]"]
)
def test_a_printed_command_brings_the_path_back(path, tmp_path, monkeypatch):
    """Through a shell, and through make and the shell of its recipe."""
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):  # of the make that runs these tests
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "Makefile").write_text("train:\n\t@printf '%s\\n' $(ARGS)\n")
    override = path_override("resume", path)
    for words in (["printf", "%s\\n"], ["make", "train"]):
        line = shell_command(words, override)
        found = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert found.stdout == override + "\n"
    assert compose_config(as_meant([override])).resume == path


def test_a_path_that_would_be_read_otherwise_is_written_otherwise():
    assert path_override("resume", "auto") == "resume=./auto"
    assert path_override("resume", "~x") == "resume=./~x"
    assert resuming("it's") == shlex.quote(path_override("resume", "it's"))


@pytest.mark.parametrize(
    ("original", "words"),
    [
        (["python", "scripts/train.py"], ["python", "scripts/train.py"]),
        (
            ["python3", "-X", "utf8", "-m", "mtrl.cli.train"],
            ["python3", "-X", "utf8", "-m", "mtrl.cli.train"],
        ),
        (["/venv/bin/python", "/elsewhere/bin/mtrl-train"], ["/elsewhere/bin/mtrl-train"]),
    ],
)
def test_a_printed_command_starts_as_the_user_did(original, words, monkeypatch):
    arguments = ["experiment=toy", "run_dir=x y"]
    monkeypatch.setattr("sys.orig_argv", [*original, *arguments])
    monkeypatch.setattr("sys.argv", [original[-1], *arguments])
    assert started_by() == words
    monkeypatch.setenv(STARTED_BY, "make train")
    assert shlex.split(shell_command(started_by(), "resume=x y")) == ["make", "train", "ARGS='resume=x y'"]


def test_a_program_on_the_path_is_called_by_its_name(monkeypatch, tmp_path):
    program = tmp_path / "mtrl-train"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.orig_argv", ["/venv/bin/python", str(program), "seed=1"])
    monkeypatch.setattr("sys.argv", [str(program), "seed=1"])
    assert started_by() == ["mtrl-train"]
