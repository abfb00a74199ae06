"""Writes the help of ``train.py`` from the comments of the configuration files."""

from __future__ import annotations

import re
from importlib.resources import files

from mtrl.config.allowed_classes import SIDES
from mtrl.config.compose import GROUPS

WHOLE = ("experiment", "launcher")  # choices that set options of other groups


def help_text() -> str:
    """Every group with its choices and every option with its default, one line each."""
    root = files("mtrl.configs")
    lines = [
        "Train a multi-task agent.",
        "",
        "  python scripts/train.py [GROUP=CHOICE ...] [GROUP.OPTION=VALUE ...] [OPTION=VALUE ...]",
        "",
        "OPTIONS",
        *_options(root.joinpath("train.yaml").read_text(encoding="utf-8"), prefix=""),
    ]
    for group in GROUPS:
        lines += ["", f"{group.upper()}: {group}=CHOICE"]
        if group in SIDES:
            side = group.partition("_")[0]
            lines.append(f"  for the gradients of the {side} alone: the choices and options of aggregator")
            continue
        for path in sorted(root.joinpath(group).iterdir(), key=lambda entry: entry.name):
            if not path.name.endswith(".yaml"):
                continue
            text = path.read_text(encoding="utf-8")
            comments = [line[2:] for line in text.splitlines() if line.startswith("# ")]
            summary = next(line for line in comments if not line.startswith("@"))
            lines.append(f"  {path.name.removesuffix('.yaml'):<28} {summary}")
            if group not in WHOLE:
                lines += ["  " + line for line in _options(text, prefix=f"{group}.")]
    return "\n".join(lines)


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
