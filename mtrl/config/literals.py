"""Writes values as the overrides of a command line state them."""

from __future__ import annotations

from typing import Any


def literal(value: Any) -> str:
    """``value`` in the grammar of overrides."""
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{literal(setting)}" for key, setting in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, str) and not all(char.isalnum() or char in "._-/" for char in value):
        return quoted(value)
    return str(value)


def quoted(text: str) -> str:
    """``text`` as a text, whatever it looks like."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
