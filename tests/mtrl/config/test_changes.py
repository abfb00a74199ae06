"""What may change when a run goes on, and what is written down about it."""

import json

import pytest

import mtrl
from mtrl.cli import train
from tests.tiny_run import TINY, assert_same_run, rows, train_once

LONGER = "steps_per_task=100"


@pytest.fixture(scope="module")
def longer(tmp_path_factory):
    out = tmp_path_factory.mktemp("longer") / "out"
    train_once(*TINY, LONGER, f"run_dir={out}")
    return out


def history(out):
    return json.loads((out / "manifest.json").read_text())["history"]


def test_a_finished_run_trained_further_is_the_run_that_was_longer_from_the_start(
    tiny_run, longer, run, capsys
):
    (before,) = (row for row in rows(tiny_run / "evaluations.jsonl") if row["final"])
    assert run(train, "resume=out", LONGER, "keep_checkpoints=2") == 0
    (entry,) = history(tiny_run)
    assert (entry["step"], entry["final_before"]) == (60, before)
    assert entry["changed"] == {"steps_per_task": [60, 100], "keep_checkpoints": [3, 2]}
    assert_same_run(tiny_run, longer)
    assert run(train, "resume=out", LONGER) == 2
    error = capsys.readouterr().err
    assert "is finished" in error
    assert "more than its 100" in error


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("steps_per_task=30", "must be more than the 60 of the run"),
        ("seed=4", "remove seed=4; what may change is steps_per_task"),
        ("aggregator=mean", "remove aggregator=mean"),
        ("env.workers=2", "PointMassSuite of this run has no workers"),
    ],
)
def test_what_makes_another_run_is_refused(tiny_run, run, capsys, option, words):
    assert run(train, "resume=out", option) == 2
    assert words in capsys.readouterr().err


def test_the_same_command_finds_its_run_with_another_interval(tiny_run, run, capsys):
    (tiny_run / "evaluations.jsonl").write_text("")
    assert run(train, *TINY, "run_dir=out", "resume=auto", "checkpoint_minutes=1", "log_interval=30") == 0
    assert history(tiny_run)[0]["changed"] == {"log_interval": [20, 30], "checkpoint_minutes": [5.0, 1]}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("seed: 0", "seed: 1", "seed in out/config.yaml is 1, but the run began with 0"),
        ("horizon: 30", "horizon: 29", "differs in horizon (horizon was 30 and is 29)"),
    ],
)
def test_an_edited_seed_or_suite_is_another_run(tiny_run, run, capsys, before, after, words):
    config = tiny_run / "config.yaml"
    config.write_text(config.read_text().replace(before, after))
    (tiny_run / "evaluations.jsonl").write_text("")
    metrics = (tiny_run / "metrics.jsonl").read_bytes()
    assert run(train, "resume=out") == 2
    assert words in capsys.readouterr().err
    assert (tiny_run / "metrics.jsonl").read_bytes() == metrics


def test_what_only_a_gpu_can_do_is_done_without_elsewhere(tiny_run, run, capsys):
    config = tiny_run / "config.yaml"
    text = config.read_text().replace("cudagraphs: auto", "cudagraphs: true")
    config.write_text(text.replace("precision: auto", "precision: tf32"))
    (tiny_run / "evaluations.jsonl").write_text("")
    assert run(train, "resume=out") == 0
    printed = capsys.readouterr().out
    assert "cudagraphs: True needs a CUDA device: going on with auto" in printed
    assert "precision: tf32 needs a CUDA device" in printed


def test_a_finished_run_says_so_and_gives_what_its_log_has(tiny_run, run, capsys):
    options = dict(text.split("=", 1) for text in TINY if not text.startswith(("agent", "experiment")))
    found = mtrl.Experiment(
        experiment="toy",
        agent={"network": {"hidden": [8]}, "actor_polyak": 0.1},
        run_dir="out",
        resume="auto",
        **{name: float(value) if "." in value else int(value) for name, value in options.items()},
    ).train()
    assert "the run in out is finished: nothing to resume; to train it further: resume=out" in " ".join(
        capsys.readouterr().out.split()
    )
    final = rows(tiny_run / "evaluations.jsonl")[-1]
    assert found.as_record() == {name: final[name] for name in found.as_record()}


@pytest.mark.parametrize("option", ["precision=tf32", "cudagraphs=true", "agent.polyak=2"])
def test_a_command_that_fails_leaves_its_directory_free(run, tmp_path, option):
    assert run(train, *TINY, "run_dir=out", option) == 2
    assert not (tmp_path / "out").exists()
