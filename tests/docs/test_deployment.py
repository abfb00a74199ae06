"""docs/deployment.md, run as written."""

import re

import pytest

from mtrl.cli import export
from mtrl.types import SuiteSpec
from tests.agents.checkpointed_run import write_checkpointed_run
from tests.docs.commands import ROOT, commands

TEXT = (ROOT / "docs" / "deployment.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    names = ("door-open-v3", "reach-v3")
    spec = SuiteSpec(names, obs_size=39, action_size=4, horizon=500, num_goals=50)
    write_checkpointed_run(tmp_path / "RUN_DIR", "sac", spec)
    monkeypatch.chdir(tmp_path)
    return spec


def test_commands_and_programs_work_as_shown(trained, run, capsys):
    load, use = CODE
    known = {}
    exec(load, known)
    assert known["action"].shape == (4,)
    shown = commands("docs/deployment.md")
    assert shown, "the document shows commands in another form: follow it here"
    (packing,) = (words for words in shown if words[1] == "scripts/pack.py")
    for words in shown:
        if words is not packing:
            assert words[:2] == ["python", "scripts/export.py"]
            assert run(export, *words[2:]) == 0
    exec(use, known)
    assert known["action"].shape == (1, 4)


def test_the_commands_of_the_readme_work(trained, run, tmp_path, monkeypatch, capsys):
    shown = [
        words for words in commands("README.md") if "mtrl.load" in words[-1] or "scripts/export.py" in words
    ]
    (_, _, code), (_, _, *arguments) = shown
    exec(code, {})
    assert "door-open-v3" in capsys.readouterr().out
    assert run(export, *arguments) == 0
    assert (tmp_path / "policy.pt2").exists()
