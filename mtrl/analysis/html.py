"""Builds one self-contained HTML page of tables, figures, configurations and commands."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence

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


def build_page(
    title: str,
    notes: Sequence[str],
    tables: Mapping[str, Sequence[Table]],
    figures: Mapping[str, Figure],
    details: Mapping[str, Sequence[Table]],
    commands: Sequence[str],
) -> str:
    """Build the page.

    Args:
        title: the page's title.
        notes: what a reader has to be told first.
        tables: by heading.
        figures: by name; their captions are in them.
        details: tables that come after the figures, by heading.
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
    parts += _sections(tables)
    parts.append("<h2>Figures</h2>")
    parts += [_figure(label, figure) for label, figure in figures.items()]
    parts += _sections(details)
    parts += ["<h2>Commands</h2>", f"<pre>{html.escape(chr(10).join(commands))}</pre>", "</body></html>", ""]
    return "\n".join(parts)


def _sections(tables: Mapping[str, Sequence[Table]]) -> list[str]:
    parts = []
    for heading, members in tables.items():
        parts.append(f"<h2>{html.escape(heading)}</h2>")
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
