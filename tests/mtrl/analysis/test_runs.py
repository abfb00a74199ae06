import json
import re

import pytest

from mtrl.analysis.results import gather, gather_suites
from mtrl.analysis.runs import find_runs
from mtrl.errors import UsageError
from tests.mtrl.analysis.made_up_runs import make_up_run


def test_runs_are_found_below_a_folder_each_once(tmp_path):
    for seed in (0, 1):
        make_up_run(tmp_path / "sweep" / "deep" / str(seed), seed=seed)
    runs = find_runs([tmp_path, tmp_path / "sweep" / "deep" / "1"])
    assert [run.seed for run in runs] == [0, 1]


@pytest.mark.parametrize("content", ["nothing", "empty", "config"])
def test_a_folder_without_runs_is_refused(tmp_path, content):
    folder = tmp_path / "out"
    if content != "nothing":
        folder.mkdir()
    if content == "config":
        (folder / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(UsageError, match="out"):
        find_runs([folder])


def test_runs_of_different_suites_are_gathered_apart(tmp_path):
    make_up_run(tmp_path / "a")
    make_up_run(tmp_path / "b", tasks=("turn-0", "turn-120", "turn-240"))
    make_up_run(tmp_path / "c", "experiment=mt10_cagrad", tasks=("reach-v3", "push-v3"))
    suites = gather_suites(find_runs([tmp_path]))
    assert [(evidence.suite, len(evidence.tasks)) for evidence in suites] == [
        ("point_mass_4_tasks", 4),
        ("point_mass_3_tasks", 3),
        ("mt10", 2),
    ]


def damage_config(run):
    (run / "config.yaml").write_text("seed: 0\n")


def damage_manifest(run):
    (run / "manifest.json").write_text("{")


def lose_config(run):
    (run / "config.yaml").unlink()


def edit_seed(run):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("seed: 0", "seed: 7"))


def link_log(run):
    (run / "metrics.jsonl").rename(run.parent / "elsewhere")
    (run / "metrics.jsonl").symlink_to(run.parent / "elsewhere")


DAMAGES = {
    damage_config: "no 'env'",
    damage_manifest: "manifest.json is not JSON",
    lose_config: "it has no config.yaml",
    edit_seed: "seed in .* is 7, but the run began with 0",
    link_log: "must be a file of the run itself",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_run_is_left_out_with_a_note_and_alone_it_is_refused(tmp_path, damage):
    damage(make_up_run(tmp_path / "bad"))
    with pytest.raises(UsageError, match=DAMAGES[damage]):
        find_runs([tmp_path])
    make_up_run(tmp_path / "good")
    notes = []
    assert [run.path.name for run in find_runs([tmp_path], notes.append)] == ["good"]
    (note,) = notes
    assert note.startswith(f"{tmp_path / 'bad'} is left out: ")
    assert re.search(DAMAGES[damage], note)


def test_what_is_of_something_else_is_named_where_it_resembles_a_run(tmp_path):
    make_up_run(tmp_path / "good")
    for name, file in (("other", "config.yaml"), ("page", "manifest.json"), (".hidden", "config.yaml")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
    notes = []
    assert len(find_runs([tmp_path], notes.append)) == 1
    assert notes == [
        f"{tmp_path / 'other'} is left out: it is no run: it has config.yaml and no manifest.json"
    ]


def test_links_are_followed_once_and_not_above(tmp_path):
    make_up_run(tmp_path / "store" / "one", seed=0)
    make_up_run(tmp_path / "beside", seed=1)
    runs = tmp_path / "runs"
    runs.mkdir()
    for name, target in (("one", "../store/one"), ("all", "../store"), ("self", "."), ("up", "..")):
        (runs / name).symlink_to(target)
    assert [run.seed for run in find_runs([runs])] == [0]


def test_lines_cut_short_and_lines_of_something_else_are_passed_over(tmp_path):
    path = make_up_run(tmp_path / "a") / "evaluations.jsonl"
    path.write_text('[1]\n{"other": 1}\n' + path.read_text() + '{"step": 9000, "succ')
    (run,) = find_runs([tmp_path])
    assert [row["step"] for row in run.evaluations] == [1000, 2000, 3000, 4000]


def test_a_repeated_step_counts_once(tmp_path):
    path = make_up_run(tmp_path / "a") / "evaluations.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    (run,) = find_runs([tmp_path])
    assert [row["step"] for row in run.evaluations] == [1000, 2000, 3000, 4000]
    assert run.final["step"] == 4000


def test_an_unfinished_run_counts_with_its_last_evaluation_and_is_named(tmp_path):
    make_up_run(tmp_path / "a", seed=0)
    make_up_run(tmp_path / "b", seed=1, finished=False, evaluations=2)
    evidence = gather(find_runs([tmp_path]))
    assert any("b is unfinished: its figures are of step 2,000" in note for note in evidence.notes)
    assert evidence.results[0].scores.shape == (2, 4)
    assert list(evidence.results[0].curve()) == [1000, 2000]
    assert evidence.caption().startswith("2 seeds per method, 2,000 to 4,000 environment steps")


def test_a_missing_row_leaves_its_step_out_of_the_curve(tmp_path):
    make_up_run(tmp_path / "a", seed=0)
    path = make_up_run(tmp_path / "b", seed=1) / "evaluations.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    assert list(gather(find_runs([tmp_path])).results[0].curve()) == [1000, 3000, 4000]


def test_a_run_without_an_evaluation_is_left_out_and_named(tmp_path):
    make_up_run(tmp_path / "a", seed=0)
    (make_up_run(tmp_path / "b", seed=1) / "evaluations.jsonl").unlink()
    evidence = gather(find_runs([tmp_path]))
    assert any("b is left out: it has no evaluation yet" in note for note in evidence.notes)
    assert len(evidence.results[0].entries) == 1


def test_runs_without_any_evaluation_are_refused(tmp_path):
    (make_up_run(tmp_path / "a") / "evaluations.jsonl").unlink()
    with pytest.raises(UsageError, match="no evaluation in"):
        gather(find_runs([tmp_path]))


def test_best_over_training_is_of_the_mean_over_seeds(tmp_path):
    for seed, rates in enumerate(([0.0, 1.0, 0.5], [1.0, 0.6, 0.5])):
        path = (
            make_up_run(tmp_path / str(seed), seed=seed, tasks=("only",), evaluations=3) / "evaluations.jsonl"
        )
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        changed = [row | {"success": {"only": rate}} for row, rate in zip(rows, rates, strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in changed))
    (result,) = gather(find_runs([tmp_path])).results
    assert result.best_over_training == pytest.approx(0.8)
    assert result.scores.tolist() == [[0.5], [0.5]]
