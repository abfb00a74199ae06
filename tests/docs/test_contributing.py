"""The aggregator, the network and the tasks shown in CONTRIBUTING.md, tried as written."""

import importlib
import re
import sys
from functools import partial

import pytest

from mtrl.cli import train
from mtrl.envs.gymnasium.suite import GymnasiumSuite
from mtrl.testing import check_aggregator, check_network, check_suite
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


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """The classes shown, by their modules' names."""
    monkeypatch.syspath_prepend(tmp_path)
    for code in CODE:
        name = re.match(r"# (\w+)\.py\n", code).group(1)
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in ("my_file", "my_net", "my_tasks"):
        sys.modules.pop(name, None)


def test_what_is_shown_keeps_its_contract(shown):
    check_aggregator(shown("my_file").InverseNorm)
    check_network(partial(shown("my_net").Gated, hidden=[8]))
    check_suite(GymnasiumSuite(["my_tasks.Reach", "my_tasks.Push"], seed=0, horizon=5, workers=0))
