"""Sets what runs reach on a suite beside what others reach there, whatever their method."""

from __future__ import annotations

from typing import Any

import numpy as np

from mtrl.analysis.measure import at_other_horizons
from mtrl.analysis.published import published
from mtrl.analysis.results import Evidence, Result
from mtrl.analysis.tables import MISSING, Table
from mtrl.analysis.thresholds import median_step

COLUMNS = {
    "name": "method",
    "source": "source",
    "success": "success",
    "horizon": "horizon",
    "steps": "steps per task",
    "to_8": "to .8",
    "to_9": "to .9",
    "checkpoint": "checkpoint",
    "reward": "reward",
    "goals": "goals",
    "seeds": "seeds",
}
HERE = "here"
Record = dict[str, Any]


def reached_records(evidence: Evidence) -> list[Record]:
    """What was measured here, at every horizon, then what others report; none where nobody reports."""
    suite = evidence.results[0].runs[0].config["env"].get("name")
    others = published()["reached"].get(str(suite), [])
    if not others:
        return []
    sources = published()["sources"]
    ours = [record for result in evidence.results for record in _here(result)]
    return ours + [sources[row["source"]] | row for row in others]


def reached_table(records: list[Record]) -> Table:
    """Build a table with a row for each record."""
    rows = [[_shown(record.get(name)) for name in COLUMNS] for record in records]
    remark = (
        "Success by different protocols: the length of episodes, the goals and the choice of the checkpoint "
        "move it. Steps to .8 and .9: of each task, the median over seeds here."
    )
    return Table("Beside what others reach", list(COLUMNS.values()), rows, remark)


def caveats(records: list[Record]) -> list[str]:
    """What has to be known of each source."""
    return list(
        dict.fromkeys(
            f"{record['source']}: {text}"
            for record in records
            if record["source"] != HERE
            for text in (record["citation"], *record["caveats"])
        )
    )


def _here(result: Result) -> list[Record]:
    """A method at its own horizon and at the others that all its runs were evaluated with."""
    config, manifest = result.runs[0].config, result.runs[0].manifest
    own = config["env"].get("horizon")
    common: Record = {
        "name": result.label,
        "steps": max(entry["step"] for entry in result.entries),
        "checkpoint": "final" if all(run.final for run in result.runs) else "last",
        "reward": config["env"].get("reward"),
        "goals": manifest.get("suite", {}).get("goals_per_task"),
        "seeds": len(result.entries),
        "source": HERE,
    }
    first = {f"to_{digit}": median_step(result.runs, digit / 10) for digit in (8, 9)}
    records = [common | first | {"success": float(result.scores.mean()), "horizon": own}]
    further = [at_other_horizons(run) for run in result.runs]
    for horizon in sorted(set.intersection(*map(set, further))):
        success = float(np.mean([entries[horizon]["mean_success"] for entries in further]))
        records.append(common | {"success": success, "horizon": horizon})
    return records


def _shown(value: Any) -> str:
    if value is None:
        return MISSING
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
