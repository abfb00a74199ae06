"""Writes commands to be pasted into the shell that started this program: they start it in the same way."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

STARTED_BY = "MTRL_STARTED_BY"  # what stands between the user and this process says there what was typed


def started_by() -> list[str]:
    """The words of the command line before the arguments: ``python scripts/train.py``, ``mtrl-train`` ..."""
    if typed := os.environ.get(STARTED_BY):
        return shlex.split(typed)
    count = len(sys.orig_argv) - len(sys.argv) + 1
    words, arguments = sys.orig_argv[:count], sys.orig_argv[count:]
    if count < 1 or sorted(arguments) != sorted(sys.argv[1:]):  # another program called this one
        return [sys.executable, "-m", "mtrl.cli.train"]
    program = Path(sys.argv[0])
    if program.name.startswith("mtrl-"):  # a script that pip installed names its interpreter itself
        found = shutil.which(program.name)
        same = found is not None and program.exists() and program.samefile(found)
        return [program.name if same else str(program)]
    return words


def shell_command(words: Sequence[str], *arguments: str) -> str:
    """The line to paste into a shell that runs ``words`` with ``arguments``."""
    if words[0] != "make":
        return shlex.join([*words, *arguments])
    passed = shlex.join(arguments).replace("$", "$$")  # make reads it first, and then a shell
    return shlex.join([*words, f"ARGS={passed}"])
