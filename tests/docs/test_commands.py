"""Every command that a document shows, read by the program that it names."""

import argparse
import importlib
import re
from pathlib import Path

import pytest

from tests.docs.commands import DOCUMENTS, ROOT, commands, in_blocks, in_sentences

SHOWN = {
    " ".join(words): words
    for document in DOCUMENTS
    for words in commands(document) + in_sentences(document)
    if words[0] == "python" and words[1].startswith("scripts/")
}


def test_a_long_command_goes_on_in_the_next_line():
    text = "```sh\n# a remark\npython a.py --name \\\n  'two words' --flag # why\nmake\n```"
    assert in_blocks(text) == [["python", "a.py", "--name", "two words", "--flag"], ["make"]]


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


def targets(document):
    """Where the links of a document lead."""
    return re.findall(r"\]\(([^)]+)\)", (ROOT / document).read_text())


def test_documents_have_links():
    assert len([target for document in DOCUMENTS for target in targets(document)]) > 30


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    for target in targets(document):
        if not target.startswith("http"):
            path, _, heading = target.partition("#")
            linked = (ROOT / document).parent / path if path else ROOT / document
            assert linked.exists(), target
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE) if heading else []
            assert not heading or heading in map(anchor, headings), target


def anchor(heading):
    """What GitHub calls a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
