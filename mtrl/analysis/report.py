"""Composes the page of ``report.py``: tables, figures, the options that differ, and commands."""

from __future__ import annotations

from mtrl.analysis.commands import training_commands
from mtrl.analysis.figures.gallery import draw_gallery
from mtrl.analysis.html import build_page
from mtrl.analysis.results import Evidence
from mtrl.analysis.summary import compare_methods
from mtrl.analysis.tables import option_table, run_table, seed_tables, summary_table, task_table


def report_page(
    evidence: Evidence, baseline: str | None = None, title: str = "Runs", command: str | None = None
) -> str:
    """Write one self-contained HTML page.

    Args:
        evidence: what was measured.
        baseline: the method to be improved on; None for mean, if that is there.
        title: of the page.
        command: that makes the page again, to be shown on it.
    """
    comparison = compare_methods(evidence, baseline)
    figures, missing = draw_gallery(evidence, comparison)
    tables = {
        "Methods": [summary_table(evidence, comparison)],
        "Options": [option_table(evidence)],
        "Tasks": [task_table(evidence)],
    }
    details = {"Seeds": seed_tables(evidence), "Runs": [run_table(evidence)]}
    commands = [
        f"# {result.label}\n{training_commands(result.runs[0].config, [run.seed for run in result.runs])}"
        for result in evidence.results
    ]
    if command is not None:
        commands += ["# this page", command]
    return build_page(title, evidence.notes + missing, tables, figures, details, commands)
