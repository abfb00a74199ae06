"""Every command that a document shows, read by the program that it names."""

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from tests.docs.commands import ROOT, commands

DOCUMENTS = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))


def in_sentences(document):
    """Commands within a line of text."""
    found = re.findall(r"`(python scripts/[^`]+)`", (ROOT / document).read_text())
    return [shlex.split(words) for words in found]


SHOWN = {
    " ".join(words): words
    for document in sorted(DOCUMENTS)
    for words in commands(document) + in_sentences(document)
    if words[0] == "python" and words[1].startswith("scripts/")
}


class ReadError(Exception):
    """The command line is read, and nothing has been done yet."""


@pytest.mark.parametrize("shown", [name for name in SHOWN if "scripts/train.py" not in name])
def test_a_program_takes_the_options_that_it_is_shown_with(run, monkeypatch, shown):
    parse = argparse.ArgumentParser.parse_args

    def only_read(parser):
        parse(parser)
        raise ReadError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", only_read)
    words = SHOWN[shown]
    program = importlib.import_module(Path(words[1]).stem)
    with pytest.raises(ReadError):
        run(program, *words[2:])


@pytest.mark.parametrize("document", sorted(DOCUMENTS))
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text()):
        if not target.startswith("http"):
            path, _, heading = target.partition("#")
            linked = (ROOT / document).parent / path if path else ROOT / document
            assert linked.exists(), target
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE) if heading else []
            assert not heading or heading in [name.lower().replace(" ", "-") for name in headings], target
