"""The commands that a document shows."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def commands(document):
    """Each as its words, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)
    return [
        words
        for block in blocks
        for line in block.splitlines()
        if (words := shlex.split(line, comments=True))
    ]
