"""Documents are wrapped, so that they can be read in a terminal and compared line by line."""

import re

import pytest

from tests.docs.commands import ROOT

WIDTH = 100  # characters
# One word, link or image that cannot be broken, in a list or not.
UNBREAKABLE = re.compile(r" *(?:(?:[-*>]|\d+\.) +)?(?:\S+|!?\[[^\]]*\]\([^)]*\)\S*)")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_line_is_wider_than_a_terminal(path):
    long = {
        number: line
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > WIDTH and not line.lstrip().startswith("|") and not UNBREAKABLE.fullmatch(line)
    }
    assert not long
