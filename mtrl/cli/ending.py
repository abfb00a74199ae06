"""Names the command that comes after a run, as its user starts programs."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path


def next_command(program: str, *arguments: str) -> str:
    """The line that runs another of the programs as this one was run: by script, module or installed name."""
    return shlex.join([*_words(program, sys.orig_argv, len(sys.argv) - 1), *arguments])


def _words(program: str, typed: Sequence[str], arguments: int) -> list[str]:
    """What to type before the arguments, of which ``typed`` ends with so many."""
    *words, name = typed[: len(typed) - arguments] or [""]
    sibling, found = re.subn(r"(?<![^\W_])train(\.py)?$", rf"{program}\1", name)
    if not found:
        return ["python", f"scripts/{program}.py"]  # as in the documents
    if Path(name).name == "mtrl-train":  # which names its interpreter itself
        return [Path(sibling).name if _on_path(name) else sibling]
    return [*words, sibling]


def _on_path(program: str) -> bool:
    return str(Path(program).parent) in os.environ.get("PATH", "").split(os.pathsep)
