"""Composes the page of ``report.py``: tables, figures, the options that differ, and commands."""

from __future__ import annotations

from collections.abc import Sequence

from mtrl.analysis.commands import training_commands
from mtrl.analysis.documents import Suites
from mtrl.analysis.figures.gallery import draw_gallery
from mtrl.analysis.html import Section, build_page
from mtrl.analysis.results import Evidence
from mtrl.analysis.summary import Comparison
from mtrl.analysis.tables import (
    option_table,
    run_table,
    seed_tables,
    summary_table,
    task_table,
    threshold_table,
)


def report_page(
    suites: Suites, notes: Sequence[str] = (), title: str = "Runs", command: str | None = None
) -> str:
    """Write one self-contained HTML page.

    Args:
        suites: what was measured on each suite.
        notes: on what was not.
        title: of the page.
        command: that makes the page again, to be shown on it.
    """
    sections, missing, commands = [], [], []
    for evidence, comparison in suites:
        section, lacking = _section(evidence, comparison, named=len(suites) > 1)
        sections.append(section)
        missing += lacking
        commands += _commands(evidence)
    if command is not None:
        commands += ["# this page", command]
    return build_page(title, [*notes, *missing], sections, commands)


def _section(evidence: Evidence, comparison: Comparison, named: bool) -> tuple[Section, list[str]]:
    figures, missing = draw_gallery(evidence, comparison)
    tables = {
        "Methods": [summary_table(evidence, comparison)],
        "Options": [option_table(evidence)],
        "Tasks": [task_table(evidence)],
        "Steps and time": [threshold_table(comparison)],
    }
    details = {"Seeds": seed_tables(evidence), "Runs": [run_table(evidence)]}
    return Section(evidence.suite if named else "", tables, figures, details), missing


def _commands(evidence: Evidence) -> list[str]:
    return [
        f"# {result.label}\n{training_commands(result.runs[0].config, [run.seed for run in result.runs])}"
        for result in evidence.results
    ]
