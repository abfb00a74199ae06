import json

import pytest

from mtrl.analysis.published import closest_preset, differences, published
from mtrl.cli import compare
from tests.mtrl.analysis.made_up_runs import config, make_up_run

TASKS = tuple(f"task-{index}-v3" for index in range(10))  # their names play no part here


def compared(run, tmp_path, capsys, *overrides, **options):
    make_up_run(tmp_path / "one", *overrides, tasks=TASKS, **options)
    assert run(compare, "one", "--format", "json") == 0
    return json.loads(capsys.readouterr().out)["comparisons"]


@pytest.mark.parametrize("name", [name for name, results in published()["results"].items() if results])
def test_every_published_preset_is_recognised_and_is_no_different_from_itself(name):
    found = config(f"experiment={name}")
    preset = closest_preset(found)
    assert preset.name == name
    assert differences(found, preset) == []


def test_measured_stands_beside_published(run, tmp_path, capsys):
    records = compared(run, tmp_path, capsys, "experiment=mt10_cagrad", skill=0.8)
    assert [record["published"]["paper"] for record in records] == ["cagrad", "moco"]
    first = records[0]
    assert first["preset"] == "mt10_cagrad"
    assert (first["seeds"], first["steps"], first["episodes_per_task"]) == (1, 4000, 20)
    assert (first["published"]["success"], first["published"]["seeds"]) == (0.83, 10)
    assert first["published"]["steps"] == 2_000_000
    assert "highest average" in first["published"]["protocol"]
    assert any("150 steps" in difference for difference in first["published"]["differences"])
    assert first["differences"] == []


def test_a_figure_that_one_paper_takes_from_another_is_called_that(run, tmp_path, capsys):
    make_up_run(tmp_path / "one", "experiment=mt10_cagrad", tasks=TASKS)
    assert run(compare, "one") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "moco's paper: its figure for cagrad is that of cagrad's paper, which had 10 seeds" in printed
    assert "cagrad's paper: its figure" not in printed


def test_options_that_differ_from_the_preset_are_spelled_out(run, tmp_path, capsys):
    overrides = ("experiment=mt10_cagrad", "aggregator.c=0.4", "steps_per_task=20000")
    (first, _) = compared(run, tmp_path, capsys, *overrides)
    assert first["differences"] == [
        "steps_per_task is 20000, the preset's 2000000",
        "aggregator.c is 0.4, the preset's 0.9",
    ]


def test_every_run_of_a_suite_stands_beside_what_others_reach_there(run, tmp_path, capsys):
    """Also a method that no preset has, and with other lengths of episodes if all its seeds have those."""
    for seed in range(2):
        path = make_up_run(
            tmp_path / "runs" / str(seed),
            "experiment=quick_mt10",
            "aggregator=famo",
            tasks=TASKS,
            seed=seed,
            skill=0.9,
        )
        last = json.loads((path / "evaluations.jsonl").read_text().splitlines()[-1])
        for horizon in (500, 300)[: 2 - seed]:
            entry = last | {"horizon": horizon, "mean_success": 0.25 * (seed + 1)}
            (path / f"evaluation_horizon_{horizon}.json").write_text(json.dumps(entry))
    assert run(compare, "runs", "--format", "json") == 0
    rows = json.loads(capsys.readouterr().out)["reached"]
    here = [row for row in rows if row["source"] == "here"]
    assert [(row["horizon"], row["seeds"], row["checkpoint"]) for row in here] == [
        (200, 2, "final"),
        (500, 2, "final"),
    ]
    assert here[1]["success"] == pytest.approx(0.375)
    assert here[0]["to_8"] is not None
    assert here[0]["to_9"] is None or here[0]["to_9"] >= here[0]["to_8"]
    others = rows[len(here) :]
    assert {row["source"] for row in others} == {"scaling", "brc", "toppo", "cagrad", "moco"}
    widest = next(row for row in others if row["name"].endswith("4096"))
    assert (widest["success"], widest["horizon"], widest["reward"], widest["to_9"]) == (
        0.937,
        500,
        "v2",
        780000,
    )
    assert run(compare, "runs") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "methods of other names; about 6 seeds" in printed
    assert "brc: its environments as published freeze one goal per task" in printed


@pytest.mark.parametrize("suite", ["MT10", "MT50"])
def test_every_row_of_what_others_reach_has_a_source_and_a_figure(suite):
    rows = published()["reached"][suite]
    assert len(rows) > 10
    for row in rows:
        assert {"citation", "caveats"} <= published()["sources"][row["source"]].keys()
        assert 0 < row["success"] <= 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("experiment=mt10_gradops",), "no figure is published for mt10_gradops"),
        (("experiment=mt10_mean", "aggregator=famo"), "no preset has its suite and classes"),
        (("experiment=toy",), "no preset has its suite and classes"),
    ],
)
def test_what_cannot_be_compared_is_said(run, tmp_path, capsys, overrides, message):
    make_up_run(tmp_path / "one", *overrides, tasks=TASKS)
    assert run(compare, "one") == 0
    assert message in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", ["text", "markdown", "latex"])
def test_every_format_has_the_figures_and_what_to_know_of_them(run, tmp_path, capsys, kind):
    make_up_run(tmp_path / "one", "experiment=mt10_care", tasks=TASKS, finished=False)
    assert run(compare, "one", "--format", kind) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "0.84" in printed
    assert "0.051" in printed
    assert "highest average over the seeds" in printed
    assert "one is unfinished" in printed
