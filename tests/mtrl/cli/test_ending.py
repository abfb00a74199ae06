import sys

import pytest

from mtrl.cli.ending import next_command


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["python", "scripts/train.py"], "python scripts/evaluate.py 'my run'"),
        (
            [".venv/bin/python", "/clone/scripts/train.py"],
            ".venv/bin/python /clone/scripts/evaluate.py 'my run'",
        ),
        (["python", "-P", "-m", "mtrl.cli.train"], "python -P -m mtrl.cli.evaluate 'my run'"),
        (["/bin/python", "/on/path/mtrl-train"], "mtrl-evaluate 'my run'"),
        (["/bin/python", "/off/mtrl-train"], "/off/mtrl-evaluate 'my run'"),
        (["python", "my_program.py"], "python scripts/evaluate.py 'my run'"),
    ],
)
def test_the_next_command_is_typed_as_this_one_was(monkeypatch, typed, expected):
    options = ["experiment=toy", "seed=1"]
    monkeypatch.setattr(sys, "orig_argv", [*typed, *options])
    monkeypatch.setattr(sys, "argv", [typed[-1], *options])
    monkeypatch.setenv("PATH", "/on/path:/bin")
    assert next_command("evaluate", "my run") == expected
