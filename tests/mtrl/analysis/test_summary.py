import csv
import io
import json

import numpy as np
import pytest

from mtrl.analysis.formats import comma_separated, latex, markdown, page_table
from mtrl.analysis.results import gather
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_methods
from mtrl.analysis.tables import (
    as_record,
    long_table,
    option_table,
    run_table,
    seed_tables,
    summary_table,
    task_table,
)
from mtrl.errors import UsageError
from tests.mtrl.analysis.made_up_runs import make_up_run


@pytest.fixture
def evidence(tmp_path):
    for seed in range(3):
        make_up_run(tmp_path / f"mean{seed}", "experiment=toy", "aggregator=mean", seed=seed, skill=0.3)
        make_up_run(tmp_path / f"cagrad{seed}", "experiment=toy", seed=seed, skill=0.9)
    return gather(find_runs([tmp_path]))


def test_the_better_method_is_found_better(evidence):
    comparison = compare_methods(evidence)
    cagrad, mean = comparison.summaries
    assert (comparison.baseline, comparison.reference) == ("mean", "mean")
    assert cagrad.iqm.low > mean.iqm.high
    assert cagrad.rank == 1
    assert mean.rank == 2
    assert cagrad.improvement.estimate == 1
    assert mean.improvement is None
    assert cagrad.drop < 0 == mean.drop


def test_a_baseline_can_be_named(evidence):
    comparison = compare_methods(evidence, "cagrad")
    assert comparison.baseline == "cagrad"
    assert comparison.summaries[1].improvement.estimate == 0
    with pytest.raises(UsageError, match="--baseline must name one method, found 'moco'"):
        compare_methods(evidence, "moco")


def test_single_task_runs_are_the_reference_of_the_relative_drop(tmp_path, evidence):
    make_up_run(tmp_path / "single", "experiment=toy", "agent=single_task", "aggregator=mean", skill=1.0)
    comparison = compare_methods(gather(find_runs([tmp_path])))
    assert (comparison.baseline, comparison.reference) == ("mean", "single_task")
    drops = {summary.result.label: summary.drop for summary in comparison.summaries}
    assert drops["single_task"] == 0 < drops["cagrad"] < drops["mean"]


def test_equal_runs_give_equal_intervals(evidence):
    assert as_record(evidence, compare_methods(evidence)) == as_record(evidence, compare_methods(evidence))


def test_csv_holds_every_task_of_every_run(evidence):
    rows = list(csv.DictReader(io.StringIO(comma_separated(long_table(evidence)))))
    assert len(rows) == 2 * 3 * 4
    cagrad = [float(row["success"]) for row in rows if row["method"] == "cagrad"]
    assert np.mean(cagrad) == pytest.approx(evidence.results[0].scores.mean())


def test_json_holds_every_figure(evidence):
    record = json.loads(json.dumps(as_record(evidence, compare_methods(evidence))))
    assert [method["method"] for method in record["methods"]] == ["cagrad", "mean"]
    assert record["methods"][0]["success"].keys() == dict.fromkeys(evidence.tasks).keys()
    assert len(record["runs"]) == 6


def test_every_table_is_a_rectangle_in_every_format(evidence):
    comparison = compare_methods(evidence)
    tables = [summary_table(evidence, comparison), task_table(evidence), option_table(evidence)]
    tables += [run_table(evidence), *seed_tables(evidence)]
    for table in tables:
        assert {len(row) for row in table.rows} == {len(table.columns)}
        drawn = [line for line in markdown([table]).splitlines() if line.startswith("|")]
        assert {line.count("|") for line in drawn} == {len(table.columns) + 1}
        body = latex([table])
        assert body.count(r"\begin{tabular}") == body.count(r"\end{tabular}") == 1
        lines = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert {line.count(" & ") for line in lines} == {len(table.columns) - 1}
        assert page_table(table).count("<tr>") == len(table.rows) + 1


def test_latex_escapes_what_has_a_meaning_there(evidence):
    body = latex([summary_table(evidence, compare_methods(evidence))])
    assert r"95 \%" in body
    assert r"$\Delta$m" in body


def test_options_that_differ_are_listed_and_no_others(tmp_path):
    make_up_run(tmp_path / "a", "experiment=toy", "aggregator.c=0.2")
    make_up_run(tmp_path / "b", "experiment=toy", "aggregator.c=0.9")
    table = option_table(gather(find_runs([tmp_path])))
    assert table.rows[2:] == [["aggregator.c", "0.2", "0.9"]]


def test_a_mean_halfway_between_two_roundings_reads_the_same_in_every_table(tmp_path):
    # five seeds of four tasks and 20 episodes: means are multiples of 0.0025, which binary fractions miss
    for aggregator, skill in (("mean", 0.17), ("cagrad", 0.29), ("moco", 0.55), ("mgda", 0.67)):
        for seed in range(5):
            options = ("experiment=toy", f"aggregator={aggregator}")
            make_up_run(tmp_path / f"{aggregator}{seed}", *options, seed=seed, skill=skill, metrics=False)
    evidence = gather(find_runs([tmp_path]))
    in_summary = [row[2] for row in summary_table(evidence, compare_methods(evidence)).rows]
    assert task_table(evidence).rows[-1][1:] == in_summary
    assert [table.rows[-1][-1] for table in seed_tables(evidence)] == in_summary
