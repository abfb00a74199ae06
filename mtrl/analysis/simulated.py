"""Remarks on evaluations that were played in another simulator than the benchmark's."""

from __future__ import annotations

from mtrl.analysis.log_entries import Entry
from mtrl.analysis.runs import Run


def remarks(run: Run, entry: Entry) -> list[str]:
    """What a reader of ``entry``, the evaluation of ``run`` that counts, should know of simulators."""
    simulator = entry.get("simulator")
    if simulator is not None:
        return [
            f"{run.path}: success in {simulator}, not in the benchmark's own environments: evaluate it with "
            f"--episodes {entry['episodes_per_task']} where {simulator} is not installed"
        ]
    others = [other for other in run.evaluations if "simulator" in other]
    if not others:
        return []
    last = others[-1]
    return [
        f"{run.path}: mean success {entry['mean_success']:.3f}; in {last['simulator']} it was "
        f"{last['mean_success']:.3f} at step {last['step']:,}"
    ]
