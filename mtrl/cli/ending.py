"""Names the command that comes after a run, as its user starts programs."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from mtrl.config.pasted import started_by


def next_command(program: str, path: Path) -> str:
    """The line that runs another of the programs as this one was run: by script, module or installed name."""
    *before, name = started_by()
    if before == ["make"]:  # which has no target for it: as the Makefile does
        *before, name = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    # No option, and nobody's home.
    argument = f"./{path}" if str(path).startswith(("-", "~")) else str(path)
    return shlex.join([*before, re.sub(r"train(\.py)?$", rf"{program}\1", name), argument])
