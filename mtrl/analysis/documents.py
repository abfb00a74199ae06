"""Writes an evaluation as a document in one of several formats."""

from __future__ import annotations

import json

from mtrl.analysis.formats import comma_separated, latex, markdown
from mtrl.analysis.results import Evidence
from mtrl.analysis.summary import Comparison
from mtrl.analysis.tables import as_record, long_table, seed_tables, summary_table, task_table


def evaluation_text(evidence: Evidence, comparison: Comparison, kind: str) -> str:
    """All numbers as json, csv, latex or markdown."""
    if kind == "json":
        return json.dumps(as_record(evidence, comparison), indent=2) + "\n"
    if kind == "csv":
        return comma_separated(long_table(evidence))
    tables = [summary_table(evidence, comparison), task_table(evidence), *seed_tables(evidence)]
    if kind == "latex":
        return latex(tables)
    return markdown(tables)
