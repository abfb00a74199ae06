"""No document or message says to install what PyPI has under the name ``mtrl``: that is another project."""

import re

import pytest

from tests.docs.commands import ROOT

# An installer's command with that name in it, and the name as a requirement, with extras or a version.
COMMAND = re.compile(r"\b(pip3?|pipx|uvx?|poetry|pdm|conda|mamba|pixi)\b.*[\s'\"]mtrl(?![\w./-])")
REQUIREMENT = re.compile(r"(?<![\w./-])mtrl *(\[[a-z]|[=<>~!]=? *\d)")
KINDS = (".md", ".py", ".yaml", ".toml", ".txt", ".json", "Makefile")
FOLDERS = ("agents", "configs", "docs", "envs", "examples", "mtrl", "scripts", "tests")


def would_bring_the_other(line):
    return bool(COMMAND.search(line) or REQUIREMENT.search(line))


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("pip install NAME", True),
        ("uv add 'NAME[ray]'", True),
        ('    "NAME>=0.2",', True),
        ("python -m pip install -U NAME", True),
        ("pip install NAME-torch", False),
        ("pip install -e '.[torchjd]'", False),
        ("python -m pip install ../NAME", False),
        ('[tool.mypy] files = ["NAME"]', False),
    ],
)
def test_such_lines_are_recognised(line, wrong):
    assert would_bring_the_other(line.replace("NAME", "mtrl")) is wrong


def test_no_line_of_the_repository_is_one():
    files = [path for path in ROOT.iterdir() if path.is_file()]
    files += [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    texts = {path: path.read_text() for path in files if path.name.endswith(KINDS)}
    assert len(texts) > 200
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in texts.items()
        for line in text.splitlines()
        if would_bring_the_other(line)
    ]
    assert not found
