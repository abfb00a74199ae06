"""Reads overrides as people type them in a shell: paths as they are, and 1e6 where an integer is meant.

Hydra's grammar takes letters outside ASCII, ``~`` and a second ``=`` for errors, and ``123`` for a number
whatever it is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from mtrl.config.literals import option_of
from mtrl.path_overrides import GRAMMAR, quoted

PATHS = ("run_dir", "resume")
# A number with an exponent that has no fraction, as a whole value or an item of a list.
WHOLE = re.compile(r"(?<![^,\[(\s])(\d+)(?:\.(\d*))?[eE]\+?(\d{1,2})(?![^,\])\s])")
MAX_DIGITS = 18  # more are no count of anything, and stay what they are


def as_meant(overrides: Sequence[str], sweep: bool = False) -> list[str]:
    """The overrides in Hydra's grammar; those that nothing can be made of stay as they are.

    Args:
        overrides: as typed.
        sweep: whether a comma stands between values, and not within a path.
    """
    return [_as_meant(text, sweep) for text in overrides]


def _as_meant(text: str, sweep: bool) -> str:
    name, equals, value = text.partition("=")
    if not equals or name.startswith(("-", "~")):
        return text
    if option_of(text) in PATHS:
        return _path(name, value, sweep)
    if "'" not in value and '"' not in value:
        value = WHOLE.sub(_whole, value)
    read = f"{name}={value}"
    if _read(read) is None and not GRAMMAR.search(value):
        parts = (part if _read(f"{name}={part}") else quoted(part) for part in value.split(","))
        in_quotes = f"{name}={','.join(parts)}"
        return in_quotes if _read(in_quotes) else read
    return read


def _path(name: str, value: str, sweep: bool) -> str:
    """The path is all that stands behind the first ``=``, unless Hydra's quotes or escapes are meant."""
    read = _read(f"{name}={value}")
    found = None if read is None else read.value()
    several = read is not None and read.is_sweep_override()
    if (several and sweep) or (read is not None and found is None) or "${" in value or not value.strip():
        return f"{name}={value}"
    if isinstance(found, str) and GRAMMAR.search(value):
        value = found
    return f"{name}={quoted(value)}"


def _read(text: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        return None


def _whole(found: re.Match[str]) -> str:
    whole, fraction, exponent = found[1], found[2] or "", int(found[3])
    if len(fraction.rstrip("0")) > exponent or len(whole) + exponent > MAX_DIGITS:
        return found[0]
    return str(int(whole + fraction.rstrip("0")) * 10 ** (exponent - len(fraction.rstrip("0"))))
