import sys
from pathlib import Path

import pytest

from mtrl.cli.ending import next_command


@pytest.mark.parametrize(
    ("typed", "make", "expected"),
    [
        (["python", "scripts/train.py"], False, "python scripts/evaluate.py 'my run'"),
        (["/a/python", "/clone/scripts/train.py"], False, "/a/python /clone/scripts/evaluate.py 'my run'"),
        (["python", "-P", "-m", "mtrl.cli.train"], False, "python -P -m mtrl.cli.evaluate 'my run'"),
        (["/bin/python", "/off/mtrl-train"], False, "/off/mtrl-evaluate 'my run'"),
        ([".venv/bin/python", "scripts/train.py"], True, ".venv/bin/python scripts/evaluate.py 'my run'"),
    ],
)
def test_the_next_command_is_typed_as_this_one_was(monkeypatch, typed, make, expected):
    options = ["experiment=toy", "seed=1"]
    monkeypatch.setattr(sys, "orig_argv", [*typed, *options])
    monkeypatch.setattr(sys, "argv", [typed[-1], *options])
    if make:
        monkeypatch.setenv("MTRL_MAKE", "train")
    assert next_command("evaluate", Path("my run")) == expected


@pytest.mark.parametrize("name", ["-run", "~run"])
def test_a_folder_of_any_name_is_a_path_in_the_next_command(name):
    assert next_command("evaluate", Path(name)).split()[-1].strip("'") == f"./{name}"
