"""Builds one self-contained HTML page of tables, figures, configurations and commands."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from mtrl.analysis.figures.style import image
from mtrl.analysis.formats import page_table
from mtrl.analysis.tables import Table

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { caption-side: bottom; text-align: left; padding-top: .4rem; color: #444; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th:first-child { text-align: left; } th { white-space: normal; }
thead th { border-bottom: 2px solid #444; vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 2px solid #444; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0 2rem; }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; font-size: .8rem; }
@media print { body { max-width: none; margin: 0; } figure, table { break-inside: avoid; }
  img { max-height: 24cm; } .wide { overflow-x: visible; }
  table { font-size: .65rem; } pre { white-space: pre-wrap; } }
"""


class Section(NamedTuple):
    """What the page says of one suite."""

    suite: str  # empty where there is no other
    tables: Mapping[str, Sequence[Table]]  # by heading
    figures: Mapping[str, Figure]  # by name; their captions are in them
    details: Mapping[str, Sequence[Table]]  # tables that come after the figures, by heading


def build_page(title: str, notes: Sequence[str], sections: Sequence[Section], commands: Sequence[str]) -> str:
    """Build the page.

    Args:
        title: the page's title.
        notes: what a reader has to be told first.
        sections: of the suites.
        commands: what to run to repeat the page's runs.
    """
    name = html.escape(title)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{name}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',  # or the browser asks the network for one
        f"<style>{STYLE}</style></head><body>",
        f"<h1>{name}</h1>",
    ]
    if notes:
        parts += ["<ul>", *(f"<li>{html.escape(note)}</li>" for note in notes), "</ul>"]
    for suite, tables, figures, details in sections:
        of = f": {html.escape(suite)}" if suite else ""
        parts += _sections(tables, of)
        parts.append(f"<h2>Figures{of}</h2>")
        parts += [_figure(f"{suite}-{label}".lstrip("-"), figure) for label, figure in figures.items()]
        parts += _sections(details, of)
    parts += ["<h2>Commands</h2>", f"<pre>{html.escape(chr(10).join(commands))}</pre>", "</body></html>", ""]
    return "\n".join(parts)


def _sections(tables: Mapping[str, Sequence[Table]], of: str) -> list[str]:
    parts = []
    for heading, members in tables.items():
        parts.append(f"<h2>{html.escape(heading)}{of}</h2>")
        for table in members:
            if len(members) > 1:
                parts.append(f"<h3>{html.escape(table.title)}</h3>")
            parts.append(page_table(table))
    return parts


def _figure(name: str, figure: Figure) -> str:
    """Embed a figure as a separate image, so that names inside it cannot clash with those of another."""
    data = base64.b64encode(image(figure, "svg")).decode()
    words = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    alternative = html.escape(words, quote=True)
    source = f"data:image/svg+xml;base64,{data}"
    return f'<figure id="{html.escape(name)}"><img src="{source}" alt="{alternative}"></figure>'
