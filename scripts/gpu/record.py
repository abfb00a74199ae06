"""Keeps what a check of a GPU found, in a JSON file and a Markdown page that are whole at any time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Record:
    """Writes sections of rows as they come, so that a run that is cut short leaves what it had.

    Args:
        folder: where ``gpu_check.json`` and ``gpu_check.md`` are written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.json, self.markdown = folder / "gpu_check.json", folder / "gpu_check.md"
        self.sections: dict[str, list[Row]] = {}
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the check has run."""
        return time.monotonic() - self.began

    def add(self, section: str, row: Row) -> None:
        """Add ``row`` to ``section``, on disk and on the terminal."""
        self.sections.setdefault(section, []).append(row)
        shown = ", ".join(f"{name} {_shown(value)}" for name, value in row.items())
        print(f"[{self.seconds:5.0f} s] {section}: {shown}", flush=True)
        self.json.write_text(json.dumps(self.sections, indent=1) + "\n", encoding="utf-8")
        self.markdown.write_text(self.page(), encoding="utf-8")

    def page(self) -> str:
        """All sections as Markdown tables."""
        lines = ["# What this GPU does", ""]
        for section, rows in self.sections.items():
            columns = list(dict.fromkeys(name for row in rows for name in row))
            lines += [f"## {section}", "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
            for row in rows:
                lines.append(f"| {' | '.join(_shown(row.get(name, '')) for name in columns)} |")
            lines.append("")
        return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value).replace("|", "/").replace("\n", " ")
