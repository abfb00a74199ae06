"""Formats tables as Markdown, LaTeX, CSV and HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Sequence

from mtrl.analysis.tables import Table


def markdown(tables: Sequence[Table]) -> str:
    """Format tables for GitHub, a heading above each."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)], *table.rows]
    body = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    remark = [table.remark, ""] if table.remark else []
    return "\n".join([f"### {table.title}", "", *body, "", *remark])


def latex(tables: Sequence[Table]) -> str:
    """Format tables for LaTeX's booktabs package."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    lines = [" & ".join(map(_cell, line)) + r" \\" for line in (table.columns, *table.rows)]
    caption = _escape(f"{table.title}. {table.remark}".rstrip())
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{caption}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"    \toprule",
            f"    {lines[0]}",
            r"    \midrule",
            *(f"    {line}" for line in lines[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


SPECIAL = {char: "\\" + char for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
}


def _cell(text: str) -> str:
    return re.sub(r"^-(?=\d)", "$-$", _escape(text))  # a minus sign, not a hyphen


def _escape(text: str) -> str:
    return "".join(SPECIAL.get(char, char) for char in text)


def comma_separated(table: Table) -> str:
    """Format a table as CSV, with a line of column names."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([table.columns, *table.rows])
    return buffer.getvalue()


def page_table(table: Table) -> str:
    """Format a table as HTML that scrolls where it is too wide."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    rows = [
        f'<tr><th scope="row">{html.escape(row[0])}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in table.rows
    ]
    caption = f"<caption>{html.escape(table.remark)}</caption>" if table.remark else ""
    body = "\n".join(rows)
    inner = f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody>"
    return f'<div class="wide"><table>{inner}</table></div>'
