"""Writes the help of ``train.py`` from the comments of the configuration files."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files

from mtrl.config.allowed_classes import SIDES
from mtrl.config.compose import GROUPS
from mtrl.errors import UsageError

WHOLE = ("experiment", "launcher")  # choices that set options of other groups
OPTIONS = "options"
ASKED = ("--help", "-h")
COLUMN = 37  # of the notes behind options


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether a command line has --help, alone or as --help=GROUP."""
    return any(argument.partition("=")[0] in ASKED for argument in arguments)


def help_text(arguments: Sequence[str] = (), width: int | None = None) -> str:
    """Every group with its choices and every option with its default, one line each.

    Args:
        arguments: of the command line; those after --help name the groups to show, or options for the rest.
        width: that longer lines are wrapped to; None for none.

    Raises:
        UsageError: for a group that there is not.
    """
    asked = [_group(word) for word in _words(arguments)]
    lines = [
        "Train a multi-task agent.",
        "",
        "  python scripts/train.py [GROUP=CHOICE ...] [GROUP.OPTION=VALUE ...] [OPTION=VALUE ...]",
        f"  python scripts/train.py --help [GROUP ...]    {', '.join([OPTIONS, *GROUPS])}",
    ]
    for group in asked or (OPTIONS, *GROUPS):
        lines += ["", *(_loop() if group == OPTIONS else _choices(group))]
    return "\n".join(lines if width is None else [part for line in lines for part in _wrapped(line, width)])


def _words(arguments: Sequence[str]) -> list[str]:
    """What --help is asked about: words behind it, and words before it that set nothing."""
    place = next((i for i, word in enumerate(arguments) if word.partition("=")[0] in ASKED), len(arguments))
    before = [word for word in arguments[:place] if word.isidentifier()]
    own = [word.partition("=")[2] for word in arguments[place : place + 1] if "=" in word]
    return before + own + [word for word in arguments[place + 1 :] if not word.startswith("-")]


def _group(word: str) -> str:
    """The group that ``agent``, ``agent=sac`` or ``agent.discount`` is of."""
    name = re.split(r"[.=]", word.lstrip("+~"))[0]
    if name in GROUPS or name == OPTIONS:
        return name
    if f"\n{name}:" in _text():
        return OPTIONS
    valid = [OPTIONS, *GROUPS]
    close = get_close_matches(name, valid, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise UsageError(f"--help knows no group {name!r}{hint}; choose among: {', '.join(valid)}")


def _text() -> str:
    return files("mtrl.configs").joinpath("train.yaml").read_text(encoding="utf-8")


def _loop() -> list[str]:
    return ["OPTIONS", *_options(_text(), prefix="")]


def _choices(group: str) -> list[str]:
    """A group with its choices and their options."""
    lines = [f"{group.upper()}: {group}=CHOICE"]
    if group in SIDES:
        side = group.partition("_")[0]
        return [*lines, f"  for the gradients of the {side} alone: the choices and options of aggregator"]
    folder = files("mtrl.configs").joinpath(group)
    for path in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not path.name.endswith(".yaml"):
            continue
        text = path.read_text(encoding="utf-8")
        comments = [line[2:] for line in text.splitlines() if line.startswith("# ")]
        summary = next(line for line in comments if not line.startswith("@"))
        lines.append(f"  {path.name.removesuffix('.yaml'):<28} {summary}")
        if group not in WHOLE:
            lines += ["  " + line for line in _options(text, prefix=f"{group}.")]
    return lines


def _options(text: str, prefix: str) -> list[str]:
    """``prefix`` option=default and its comment, for every commented option of a YAML text."""
    lines, parent = [], ""
    for line in text.splitlines():
        if re.fullmatch(r"[a-z]\w*:", line):
            parent = line.replace(":", ".")
        elif line[:1].strip():
            parent = ""
        option = re.fullmatch(r" *([a-z]\w*): *(.*?) +# (.+)", line)
        if option:
            name, value, note = option.groups()
            lines.append(f"  {prefix + parent + name + '=' + value:<36} {note}")
    return lines


def _wrapped(line: str, width: int) -> list[str]:
    """A line, and where it is too long for the terminal the rest of its note below the note."""
    if len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip())
    return textwrap.wrap(
        line, width, subsequent_indent=" " * (indent + 6), break_long_words=False, break_on_hyphens=False
    )
