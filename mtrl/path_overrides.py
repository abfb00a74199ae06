"""Writes paths as the command line takes them, for commands to be pasted into a shell."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

GRAMMAR = re.compile(r"[\[\](){}'\"$\\]")  # what says that Hydra's own way to write a value is meant


def path_override(option: str, path: Path) -> str:
    """What to give for ``option=path``, in a list of arguments."""
    # Not auto, which is no name for resume, and nobody's home.
    text = f"./{path}" if str(path).startswith("~") or str(path) == "auto" else str(path)
    return f"{option}={quoted(text) if GRAMMAR.search(text) or text.lower() == 'null' else text}"


def resuming(path: Path) -> str:
    """What to type in a shell to go on with the run at ``path``."""
    return shlex.quote(path_override("resume", path))


def quoted(text: str) -> str:
    """``text`` as a text, whatever it looks like."""
    # A backslash escapes only a quote, the closing one too, and backslashes before one.
    return "'" + re.sub(r"\\+(?='|\Z)", lambda found: 2 * found[0], text).replace("'", "\\'") + "'"
