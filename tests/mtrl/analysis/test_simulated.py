from types import SimpleNamespace

from mtrl.analysis.simulated import remarks

WARP = {"step": 40, "episodes_per_task": 50, "mean_success": 0.8, "simulator": "MuJoCo Warp"}
REFERENCE = {"step": 40, "episodes_per_task": 50, "mean_success": 0.75}


def run_with(*evaluations):
    return SimpleNamespace(path="runs/one", evaluations=list(evaluations))


def test_a_figure_of_another_simulator_is_not_taken_for_the_benchmarks():
    (remark,) = remarks(run_with(WARP), WARP)
    assert "runs/one: success in MuJoCo Warp, not in the benchmark's" in remark
    assert "--episodes 50" in remark


def test_the_benchmarks_figure_stands_beside_that_of_the_simulator():
    (remark,) = remarks(run_with(WARP | {"mean_success": 0.1}, WARP), REFERENCE)
    assert "mean success 0.750; in MuJoCo Warp it was 0.800 at step 40" in remark


def test_a_run_on_the_reference_has_no_remarks():
    assert remarks(run_with(REFERENCE), REFERENCE) == []
