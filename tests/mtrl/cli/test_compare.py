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
