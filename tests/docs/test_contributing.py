"""The aggregator, the network and the tasks shown in CONTRIBUTING.md, tried as written."""

import re

import pytest

from mtrl.cli import train
from tests.docs.commands import ROOT, commands

TEXT = (ROOT / "CONTRIBUTING.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [words for words in commands("CONTRIBUTING.md") if "scripts/train.py" in words]


@pytest.mark.parametrize(
    ("code", "command"), zip(CODE, COMMANDS, strict=True), ids=["aggregator", "network", "tasks"]
)
def test_what_one_file_adds_trains_with_the_command_shown(run, tmp_path, code, command):
    name = re.match(r"# (\w+\.py)\n", code).group(1)
    (tmp_path / name).write_text(code)
    assert command[:2] == ["python", "scripts/train.py"]
    short = ["steps_per_task=60", "warmup_steps=10", "log_interval=20", "final_episodes=2", "run_dir=out"]
    assert run(train, *command[2:], *short) == 0
    assert name.removesuffix(".py") in (tmp_path / "out" / "config.yaml").read_text()
    assert (tmp_path / "out" / "evaluations.jsonl").exists()
