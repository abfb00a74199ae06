"""Reads the commands that documents show, for all tests of documents."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCUMENTS = tuple(
    str(path.relative_to(ROOT))
    for path in sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
)


def commands(document):
    """Those in blocks of a document."""
    return in_blocks((ROOT / document).read_text())


def in_blocks(text):
    """Each as its words, without comments; a line that ends in a backslash goes on in the next."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def in_sentences(document):
    """Those within a line of text, which may be wrapped."""
    found = re.findall(r"`(python\s+scripts/[^`]+)`", (ROOT / document).read_text())
    return [shlex.split(words) for words in found]
