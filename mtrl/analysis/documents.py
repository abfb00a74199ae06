"""Writes an evaluation as a document in one of several formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mtrl.analysis.formats import comma_separated, latex, markdown
from mtrl.analysis.results import Evidence
from mtrl.analysis.summary import Comparison
from mtrl.analysis.tables import (
    Table,
    as_record,
    long_table,
    seed_tables,
    summary_table,
    task_table,
    threshold_table,
)

Suites = Sequence[tuple[Evidence, Comparison]]


def evaluation_text(suites: Suites, notes: Sequence[str], kind: str) -> str:
    """All numbers as json, csv, latex or markdown."""
    if kind == "json":
        records = [as_record(evidence, comparison) for evidence, comparison in suites]
        whole: dict[str, Any] = {name: [row for one in records for row in one[name]] for name in records[0]}
        return json.dumps(whole | {"notes": list(notes)}, indent=2) + "\n"
    if kind == "csv":
        return comma_separated(joined([long_table(evidence) for evidence, _ in suites]))
    tables = [
        table
        for evidence, comparison in suites
        for table in of_suite(
            [
                summary_table(evidence, comparison),
                threshold_table(comparison),
                task_table(evidence),
                *seed_tables(evidence),
            ],
            evidence,
            len(suites),
        )
    ]
    return latex(tables) if kind == "latex" else markdown(tables)


def of_suite(tables: Sequence[Table], evidence: Evidence, suites: int) -> list[Table]:
    """The tables, titled by their suite where it is one of several."""
    if suites == 1:
        return list(tables)
    return [replace(table, title=f"{table.title}, {evidence.suite}") for table in tables]


def joined(tables: Sequence[Table]) -> Table:
    """Tables of the same columns as one."""
    return replace(tables[0], rows=[row for table in tables for row in table.rows])
