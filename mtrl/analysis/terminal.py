"""Prints tables within the width of a terminal, in blocks of columns where they are wider than that."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import rich.box
import rich.table
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape

from mtrl.analysis.tables import Table

TEXT = 24  # columns of the terminal that a name or another text may take before it is folded
BETWEEN = 3  # two columns
NARROW = 120  # below which tables with sentences in them are lists


def print_table(console: Console, table: Table) -> None:
    """Print a table with its title and remark; every block of columns has the names again."""
    widths = _widths(table, console.width)
    console.print(f"\n[bold]{escape(table.title)}", highlight=False)
    for block in _blocks(widths, console.width):
        drawn = rich.table.Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
        for index in block:
            drawn.add_column(
                escape(table.columns[index]),
                justify="right" if _is_number(table, index) else "left",
                overflow="fold",
                width=widths[index],
            )
        for row in table.rows:
            if table.columns[0] == "task" and row is table.rows[-1]:
                drawn.add_section()
            drawn.add_row(*(escape(row[index]) for index in block))
        console.print(drawn)
    if table.remark:
        print_text(console, table.remark)


def print_entries(console: Console, title: str, entries: Sequence[tuple[str, str, str]]) -> None:
    """Print a name, a text and a remark below each other, for tables whose columns would be too narrow."""
    console.print(f"\n[bold]{escape(title)}\n", highlight=False)
    for name, text, remark in entries:
        console.print(f"[bold]{escape(name)}", highlight=False)
        for paragraph in (text, remark):
            lines = textwrap.wrap(paragraph, console.width, initial_indent="  ", subsequent_indent="  ")
            console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def print_text(console: Console, text: str) -> None:
    """Print a sentence, wrapped between words; what can be cut nowhere goes on beyond the edge."""
    lines = textwrap.wrap(text, console.width, subsequent_indent="  ", break_long_words=False)
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _widths(table: Table, available: int) -> list[int]:
    """The columns of the terminal that each column of the table takes."""
    widths = []
    for index, name in enumerate(table.columns):
        longest = max((cell_len(row[index]) for row in table.rows), default=0)
        limit = longest if _is_number(table, index) else TEXT
        words = max(map(cell_len, name.split()), default=0)
        widths.append(max(1, words, min(longest, limit) if index else longest))
    rest = available - BETWEEN - sum(width + BETWEEN for width in widths[1:])
    return [min(widths[0], max(TEXT, rest)), *widths[1:]]


def _blocks(widths: Sequence[int], available: int) -> Iterator[list[int]]:
    """Indices of the columns of each block, the first column in all."""
    block = [0]
    for index in range(1, len(widths)):
        if len(block) > 1 and sum(widths[i] + BETWEEN for i in [*block, index]) > available:
            yield block
            block = [0]
        block.append(index)
    yield block


def _is_number(table: Table, index: int) -> bool:
    return index > 0 and all(row[index][:1] in "0123456789+-–(" for row in table.rows)
