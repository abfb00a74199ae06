"""Builds the tables of methods, tasks, seeds, options and runs that an evaluation shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mtrl.analysis.results import Evidence
from mtrl.analysis.statistics import Interval
from mtrl.analysis.summary import Comparison, Summary
from mtrl.training.progress import duration

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """A heading, columns whose first is a name, and a remark below."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    remark: str = ""


def summary_table(evidence: Evidence, comparison: Comparison) -> Table:
    """Build a table with one row for each method."""
    columns = ["method", "seeds", "mean", "IQM [95 %]", f"worst {comparison.worst_tasks}", "mean rank"]
    remark = (
        f"{evidence.headline()} Intervals: stratified bootstrap over seeds. Worst: mean over seeds of each "
    )
    tasks = comparison.worst_tasks
    remark += "seed's lowest success." if tasks == 1 else f"seed's {tasks} lowest of its tasks' success."
    if comparison.baseline is not None:
        columns += [f"P(better than {comparison.baseline}) [95 %]"]
    if comparison.reference is not None:
        columns += [f"Δm % from {comparison.reference}"]
        tasks = max(summary.drop_tasks for summary in comparison.summaries)
        remark += (
            f" Δm: mean relative drop over the {tasks} of {len(evidence.tasks)} tasks where the reference "
        )
        remark += "is above 0; below 0 is better."
    columns += ["best over training"]
    return Table("Methods", columns, [_summary_row(s, comparison) for s in comparison.summaries], remark)


def _summary_row(summary: Summary, comparison: Comparison) -> list[str]:
    row = [summary.result.label, str(len(summary.result.entries)), _rounded(summary.mean.estimate)]
    row += [with_interval(summary.iqm), _rounded(summary.worst), f"{summary.rank:.2f}"]
    if comparison.baseline is not None:
        row += [MISSING if summary.improvement is None else with_interval(summary.improvement)]
    if comparison.reference is not None:
        row += [MISSING if summary.drop is None else f"{summary.drop:+.1f}"]
    return [*row, MISSING if summary.best_over_training is None else _rounded(summary.best_over_training)]


def threshold_table(comparison: Comparison) -> Table:
    """Build a table of the steps and the time to each threshold, a row for each method and threshold."""
    rows = [
        [
            summary.result.label,
            f"{found.threshold:g}",
            MISSING if found.steps is None else f"{found.steps:,.0f}",
            MISSING if found.seconds is None else duration(found.seconds),
            f"{found.reached} of {found.runs}",
        ]
        for summary in comparison.summaries
        for found in summary.reached
    ]
    remark = (
        "First evaluation with that success or more, mean over tasks: environment steps per task, and time "
        f"of training without evaluations; medians over all seeds. {MISSING}: half of them or more never had "
        "it, or logged no times."
    )
    return Table("Steps and time to a success", ["method", "success", "steps", "time", "seeds"], rows, remark)


def with_interval(found: Interval) -> str:
    """Format an estimate with its interval, as in ``0.900 [0.850, 0.940]``."""
    if found.low is None or found.high is None:
        return _rounded(found.estimate)
    return f"{_rounded(found.estimate)} [{_rounded(found.low)}, {_rounded(found.high)}]"


def _rounded(value: float) -> str:
    """Round to three digits, the same for equal values whatever the order of their sums."""
    return f"{round(value, 9):.3f}"


def task_table(evidence: Evidence) -> Table:
    """Build a table of tasks by methods, with means over the seeds."""
    columns = [result.means for result in evidence.results]
    rows = [
        [task, *(f"{means[index]:.2f}" for means in columns)] for index, task in enumerate(evidence.tasks)
    ]
    rows.append(["mean", *(_rounded(means.mean()) for means in columns)])
    labels = [result.label for result in evidence.results]
    return Table("Tasks", ["task", *labels], rows, f"Success, mean over seeds. {evidence.caption()}")


def seed_tables(evidence: Evidence) -> list[Table]:
    """Build a table of tasks by seeds for each method."""
    tables = []
    for result in evidence.results:
        scores = result.scores  # [R, K]
        rows = [
            [task, *(f"{rate:.2f}" for rate in scores[:, index]), f"{scores[:, index].mean():.2f}"]
            for index, task in enumerate(result.tasks)
        ]
        rows.append(["mean", *map(_rounded, scores.mean(axis=1)), _rounded(scores.mean())])
        columns = ["task", *(f"seed {run.seed}" for run in result.runs), "mean"]
        tables.append(Table(f"Seeds of {result.label}", columns, rows))
    return tables


def long_table(evidence: Evidence) -> Table:
    """Build a table with one row for each method, seed and task."""
    columns = ["method", "seed", "task", "success", "return", "step", "episodes", "run", "suite"]
    rows = [
        [
            result.label,
            str(run.seed),
            task,
            str(entry["success"][task]),
            str(entry["return"][task]),
            str(entry["step"]),
            str(entry["episodes_per_task"]),
            str(run.path),
            evidence.suite,
        ]
        for result in evidence.results
        for run, entry in zip(result.runs, result.entries, strict=True)
        for task in evidence.tasks
    ]
    return Table("Success and return", columns, rows)


def as_record(evidence: Evidence, comparison: Comparison) -> dict[str, Any]:
    """Collect every number on one suite, for JSON."""
    return {
        "suites": [
            {
                "suite": evidence.suite,
                "tasks": list(evidence.tasks),
                "baseline": comparison.baseline,
                "reference": comparison.reference,
                "worst_tasks": comparison.worst_tasks,
            }
        ],
        "methods": [{"suite": evidence.suite} | _method_record(s) for s in comparison.summaries],
        "runs": [
            {
                "suite": evidence.suite,
                "method": result.label,
                "run": str(run.path),
                "seed": run.seed,
                "finished": run.final is not None,
                **{
                    name: entry[name]
                    for name in ("step", "episodes_per_task", "mean_success", "success", "return")
                },
            }
            for result in evidence.results
            for run, entry in zip(result.runs, result.entries, strict=True)
        ],
    }


def _method_record(summary: Summary) -> dict[str, Any]:
    result = summary.result
    return {
        "method": result.label,
        "agent": result.method.agent,
        "aggregator": result.method.aggregator,
        "seeds": [run.seed for run in result.runs],
        "mean_success": summary.mean.estimate,
        "mean_95": [summary.mean.low, summary.mean.high],
        "iqm": summary.iqm.estimate,
        "iqm_95": [summary.iqm.low, summary.iqm.high],
        "worst_success": summary.worst,
        "mean_rank": summary.rank,
        "probability_of_improvement": summary.improvement and summary.improvement.estimate,
        "probability_of_improvement_95": summary.improvement
        and [summary.improvement.low, summary.improvement.high],
        "relative_drop_percent": summary.drop,
        "relative_drop_tasks": summary.drop_tasks,
        "best_over_training": summary.best_over_training,
        "thresholds": [asdict(found) for found in summary.reached],
        "success": dict(zip(result.tasks, result.means.tolist(), strict=True)),
    }


def option_table(evidence: Evidence) -> Table:
    """Build a table of the options in which the methods differ."""
    methods = [result.method for result in evidence.results]
    rows = [[leaf, *(getattr(method, leaf) for method in methods)] for leaf in ("agent", "aggregator")]
    names = list(dict.fromkeys(name for method in methods for name in method.options))
    for name in names:
        values = [str(method.options.get(name, MISSING)) for method in methods]
        if len(set(values)) > 1 and not name.endswith(("_target_", "_partial_")):
            rows.append([name, *values])
    remark = (
        f"{MISSING}: the method has no such option. Options that all share are in each run's config.yaml."
    )
    return Table("Options", ["option", *(method.label for method in methods)], rows, remark)


def run_table(evidence: Evidence) -> Table:
    """Build a table of the runs that the numbers come from."""
    columns = [
        "method",
        "seed",
        "steps",
        "episodes",
        "finished",
        "parameters",
        "device",
        "torch",
        "revision",
        "run",
    ]
    rows = []
    for result in evidence.results:
        for run, entry in zip(result.runs, result.entries, strict=True):
            facts = run.manifest
            counts = facts.get("agent", {}).get("parameters", {})
            found = [
                result.label,
                run.seed,
                f"{entry['step']:,}",
                entry["episodes_per_task"],
                "yes" if run.final else "no",
                f"{sum(counts.values()):,}" if counts else MISSING,
                facts.get("device", MISSING),
                facts.get("versions", {}).get("torch", MISSING),
                str(facts.get("git_revision") or MISSING)[:12],
                run.path,
            ]
            rows.append([str(value) for value in found])
    return Table("Runs", columns, rows, "Steps of each task; episodes for each task; trained parameters.")
