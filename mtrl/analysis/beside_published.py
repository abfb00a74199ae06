"""Sets measured success beside what papers report: as records, as a table, and as remarks on both."""

from __future__ import annotations

from typing import Any

from mtrl.analysis.grouping import choice_name
from mtrl.analysis.published import Preset, closest_preset, differences, published
from mtrl.analysis.results import Evidence
from mtrl.analysis.statistics import Interval
from mtrl.analysis.summary import Summary, compare_methods
from mtrl.analysis.tables import MISSING, Table, with_interval

COLUMNS = (
    "method",
    "final mean [95 %]",
    "best over training",
    "published ± s.e.",
    "difference from best",
    "paper",
    "seeds here / there",
    "steps here / there",
)


def records_of(evidence: Evidence) -> list[dict[str, Any]]:
    """What was measured and what is published for each method; plain values, for JSON."""
    return [record for summary in compare_methods(evidence).summaries for record in _records(summary)]


def _records(summary: Summary) -> list[dict[str, Any]]:
    """One for each paper that reports the method, or one without a paper."""
    result = summary.result
    config = result.runs[0].config
    preset = closest_preset(config)
    measured = {
        "suite": choice_name(config, "env"),
        "method": result.label,
        "seeds": len(result.entries),
        "steps": max(entry["step"] for entry in result.entries),
        "episodes_per_task": max(entry["episodes_per_task"] for entry in result.entries),
        "mean_success": summary.mean.estimate,
        "mean_95": [summary.mean.low, summary.mean.high],
        "best_over_training": summary.best_over_training,
        "preset": preset and preset.name,
        "differences": differences(config, preset) if preset else [],
        "protocol": _protocol(config),
    }
    return [measured | {"published": entry} for entry in _entries(preset)]


def _entries(preset: Preset | None) -> list[dict[str, Any] | None]:
    if preset is None or not preset.results:
        return [None]
    papers = published()["papers"]
    return [
        papers[entry["paper"]] | entry | {"kind": papers[entry["paper"]]["spread"]}
        for entry in preset.results
    ]


def _protocol(config: dict[str, Any]) -> str:
    env = config["env"]
    facts = [f"the final checkpoint; horizon {env.get('horizon', 'of the suite')}"]
    if "reward" in env:
        facts.append(f"reward {env['reward']}")
    return ", ".join([*facts, "every goal at most once, in environments of their own"])


def comparison_table(evidence: Evidence, records: list[dict[str, Any]]) -> Table:
    """Build a table with one row for each record."""
    rows = []
    for record in records:
        best, entry = record["best_over_training"], record["published"] or {}
        paper = [f"{entry['success']:.2f} ± {entry['spread']:.3f}"] if entry else [MISSING]
        gap = best - entry["success"] if entry and best is not None else None
        rows.append(
            [
                record["method"],
                with_interval(Interval(record["mean_success"], *record["mean_95"])),
                MISSING if best is None else f"{best:.3f}",
                *paper,
                MISSING if gap is None else f"{gap:+.3f}",
                entry.get("paper", MISSING),
                f"{record['seeds']} / {entry.get('seeds', MISSING)}",
                f"{record['steps']:,} / " + (f"{entry['steps']:,}" if entry else MISSING),
            ]
        )
    remark = f"Success, mean over seeds and tasks. {evidence.caption()} Published: mean ± standard error."
    return Table("Measured beside published", list(COLUMNS), rows, remark)


def remarks_on(records: list[dict[str, Any]]) -> list[str]:
    """What has to be known before two figures are set against each other."""
    remarks = []
    for record in records:
        method, entry, preset = record["method"], record["published"], record["preset"]
        if entry is None:
            why = f"no figure is published for {preset}" if preset else "no preset has its suite and classes"
            remarks.append(f"{method}: {why}")
            continue
        source = f"{entry['paper']}'s paper"
        remarks += [
            f"here: {record['protocol']}; {record['episodes_per_task']} episodes per task",
            f"{source}: {entry['citation']}, {entry['table']}",
            f"{source}: {entry['protocol']}; hence the difference from best over training, which rises with "
            "the length of a run and the number of looks",
            *_repetition(entry, source, method),
            *(f"{source}: {difference}" for difference in entry["differences"]),
            *(f"{method}, against {preset}: {difference}" for difference in record["differences"]),
        ]
    return list(dict.fromkeys(remarks))


def _repetition(entry: dict[str, Any], source: str, method: str) -> list[str]:
    if "same_as" not in entry:
        return []
    other = entry["same_as"]
    seeds = published()["papers"][other]["seeds"]
    return [f"{source}: its figure for {method} is that of {other}'s paper, which had {seeds} seeds"]
