"""The aggregator, the network and the tasks shown in CONTRIBUTING.md, tried as written."""

import re
import shlex
from pathlib import Path

import pytest

from mtrl.cli import train

TEXT = (Path(__file__).parent.parent.parent / "CONTRIBUTING.md").read_text()


CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize(
    ("code", "command"), zip(CODE, COMMANDS, strict=True), ids=["aggregator", "network", "tasks"]
)
def test_what_one_file_adds_trains_with_the_command_shown(run, tmp_path, code, command):
    name = re.match(r"# (\w+\.py)\n", code).group(1)
    (tmp_path / name).write_text(code)
    arguments = shlex.split(command)
    assert arguments[:2] == ["python", "scripts/train.py"]
    short = ["steps_per_task=60", "warmup_steps=10", "log_interval=20", "final_episodes=2", "run_dir=out"]
    assert run(train, *arguments[2:], *short) == 0
    assert name.removesuffix(".py") in (tmp_path / "out" / "config.yaml").read_text()
    assert (tmp_path / "out" / "evaluations.jsonl").exists()
