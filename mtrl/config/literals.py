"""Writes values as the overrides of a command line state them, and reads the options that overrides set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtrl import policies
from mtrl.path_overrides import quoted

ESCAPED = re.compile(r"[\\()\[\]{}:=, \t]")  # in a mapping's keys, which take no quotes


def option_of(override: str) -> str:
    """The dotted name of what an override sets."""
    return override.lstrip("+").split("=")[0]


def named(overrides: Iterable[str]) -> set[str]:
    """The dotted names of what overrides set."""
    return set(map(option_of, overrides))


def path_of(text: str) -> Path:
    """The path that a text means, ``~`` being somebody's home, which shells do not say in ``--out=~/x``."""
    try:
        return Path(text).expanduser()
    except RuntimeError:  # nobody's
        return Path(text)


def run_of(text: str) -> Path:
    """The run directory that a text means: a path, or the name of a policy that comes with the package."""
    return path_of(str(policies.at(text)))


def literal(value: Any) -> str:
    """``value`` in the grammar of overrides, which reads it as the same value of the same type."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        pairs = (f"{ESCAPED.sub(_escape, str(key))}:{literal(setting)}" for key, setting in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, str) and not _is_bare(value):
        return quoted(value)
    return str(value)


def _escape(found: re.Match[str]) -> str:
    return "\\" + found[0]


def _is_bare(text: str) -> bool:
    """Whether the grammar reads it as this text without quotes: not as null, a truth value or a number."""
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", text) or text.lower() in ("null", "true", "false"):
        return False
    try:
        float(text.replace("_", ""))
    except ValueError:
        return True
    return False
