"""What the README and the documents promise, held against the programs."""

import re

import pytest

from mtrl.config import sweep
from mtrl.config.compose import compose_config
from tests.docs.commands import DOCUMENTS, ROOT, commands

TEXT = (ROOT / "README.md").read_text()
COMMANDS = [words for document in DOCUMENTS for words in commands(document)]
TRAININGS = [command for command in COMMANDS if "scripts/train.py" in command and "--help" not in command]


@pytest.mark.parametrize("group", ["agent", "aggregator"])
def test_the_table_lists_every_choice_as_its_file_describes_it(group):
    files = sorted((ROOT / "configs" / group).glob("*.yaml"))
    described = {path.stem: path.read_text().splitlines()[0].removeprefix("# ") for path in files}
    table = section(f"## {group.capitalize()}s")
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)) == described


@pytest.mark.parametrize("command", TRAININGS, ids=" ".join)
def test_every_training_command_is_valid(command):
    arguments = command[command.index("scripts/train.py") + 1 :]
    if "launcher=ray_local" in arguments:
        pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    if "-m" in arguments:
        sweep.plan([argument for argument in arguments if argument != "-m"])
    else:
        compose_config(arguments)


def test_every_program_and_make_target_exists():
    makefile = (ROOT / "Makefile").read_text()
    assert len(COMMANDS) > 40, "the documents show commands in another form: follow it here"
    assert {"make", "python"} <= {command[0] for command in COMMANDS}
    for command in COMMANDS:
        if command[:1] == ["make"]:
            assert f"\n{command[1]}:" in makefile
        for word in command:
            if word.startswith("scripts/"):
                assert (ROOT / word).is_file()


def section(title: str) -> str:
    return TEXT.split(title)[1].split("\n## ")[0]
