"""The aggregator shown in CONTRIBUTING.md, tried as written."""

import re
import shlex
import sys
from pathlib import Path

from scripts import train

TEXT = (Path(__file__).parent.parent.parent / "CONTRIBUTING.md").read_text()


def test_the_aggregator_in_one_file_trains_with_the_command_shown(monkeypatch, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (command,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    name = re.match(r"# (\w+\.py)\n", code).group(1)
    (tmp_path / name).write_text(code)
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)
    assert arguments[:2] == ["python", "scripts/train.py"]
    short = ["steps_per_task=60", "warmup_steps=10", "log_interval=20", "final_episodes=2", "run_dir=out"]
    monkeypatch.setattr(sys, "argv", [*arguments[1:], *short])
    train.main()
    assert "InverseNorm" in (tmp_path / "out" / "config.yaml").read_text()
    assert (tmp_path / "out" / "evaluations.jsonl").exists()
