import json
import sys
from functools import partial
from importlib.util import find_spec

import pytest
import torch

from agents.networks import OneHotMLP
from agents.sac import SAC
from mtrl.aggregators import Mean
from mtrl.types import SuiteSpec
from scripts import benchmark
from scripts.benchmark_aggregators import _gap
from scripts.benchmark_aggregators import random_gradients as benchmark_rows
from scripts.methods import build_method, method_names


def test_update_prints_and_writes_ratios_of_one_run(monkeypatch, tmp_path, capsys):
    target = tmp_path / "rows.json"
    options = ["update", "--batch-size", "2", "--repeats", "1", "--full-passes", "--json", str(target)]
    monkeypatch.setattr(sys, "argv", ["benchmark", *options])
    benchmark.main()
    rows = {row["contender"]: row for row in json.loads(target.read_text())}
    assert set(rows) == {"mean", "cagrad", "critic gradients, sliced", "critic gradients, K full passes"}
    assert rows["mean"]["ratio"] == 1
    assert all(row["milliseconds"] > 0 for row in rows.values())
    assert "cagrad" in capsys.readouterr().out


def test_both_ways_to_the_critic_gradients_agree():
    spec = SuiteSpec(("a", "b"), 39, 4, 500, 50)
    agent = SAC(
        spec, Mean(2), Mean(2), torch.device("cpu"), torch.Generator(), network=partial(OneHotMLP, hidden=[8])
    )
    batch = benchmark._random_batch(spec, 4, torch.device("cpu"))
    passes = torch.stack(benchmark._full_pass_gradients(agent, batch))
    with torch.no_grad():
        rows = agent.critic_rows(batch, batch.reward, agent.temperature.alpha())
        sliced = agent.critic_gradients(rows).shared
    torch.testing.assert_close(passes, sliced, rtol=1e-4, atol=1e-5)


def benchmark_aggregators(monkeypatch, tmp_path, *options):
    target = tmp_path / "rows.json"
    command = ["aggregators", "--tasks", "4", "--parameters", "50", "--repeats", "1", "--json", str(target)]
    monkeypatch.setattr(sys, "argv", ["benchmark", *command, *options])
    benchmark.main()
    return {(row["method"], row["implementation"]): row for row in json.loads(target.read_text())}


def test_aggregators_are_timed_beside_torchjd_with_their_gaps(monkeypatch, tmp_path, capsys):
    pytest.importorskip("torchjd")
    rows = benchmark_aggregators(
        monkeypatch, tmp_path, "--methods", "mean", "mgda", "cagrad", "pcgrad", "gradops", "nash_mtl"
    )
    assert rows["Gram and combine", "mtrl"]["ratio"] == 1
    assert all(row["milliseconds"] > 0 and row["tasks"] == 4 for row in rows.values())
    for method in ("mean", "mgda", "pcgrad", *(("cagrad", "nash_mtl") if find_spec("ecos") else ())):
        assert (method, "TorchJD") in rows
    assert ("gradops", "TorchJD") not in rows
    # float32 gradients, float64 solvers: the gap is rounding.
    assert abs(rows["mgda", "mtrl"]["gap"]) < 1e-5
    assert abs(rows["cagrad", "mtrl"]["gap"]) < 1e-4
    assert rows["mgda", "TorchJD"]["gap"] > -1e-5
    assert rows["pcgrad", "mtrl"]["gap"] is None
    assert rows["nash_mtl", "mtrl"]["gap"] < 1e-5
    assert all(rows["pcgrad", by]["weights_milliseconds"] > 0 for by in ("mtrl", "TorchJD"))
    assert "0 is optimal" in capsys.readouterr().out


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_the_gaps_see_a_worse_direction(scale):
    gradients = scale * benchmark_rows(6, 40, torch.device("cpu"))
    mean = gradients.mean(0)
    for method in ("mgda", "cagrad"):
        exact = build_method(method, 6)(gradients, torch.ones(6)).vector
        best = _gap(method, lambda exact=exact: exact, None, gradients)
        assert abs(best) < 1e-4
        assert _gap(method, lambda: mean, None, gradients) > 0.01


def test_the_gap_of_nash_mtl_sees_unequal_shares():
    gradients = torch.diag(torch.tensor([1.0, 2.0]))
    assert _gap("nash_mtl", torch.zeros, lambda: torch.tensor([1.0, 0.5]), gradients) < 1e-6
    assert _gap("nash_mtl", torch.zeros, lambda: torch.ones(2), gradients) > 0.1


def test_every_method_is_timed(monkeypatch, tmp_path):
    rows = benchmark_aggregators(monkeypatch, tmp_path)
    assert {method for method, _ in rows} == {"Gram and combine", *method_names()} - {"torchjd"}


def test_bad_sizes_are_refused(monkeypatch, tmp_path, capsys):
    for options, message in ((("--tasks", "1"), "--tasks"), (("--methods", "nope"), "unknown method nope")):
        with pytest.raises(SystemExit, match="2"):
            benchmark_aggregators(monkeypatch, tmp_path, *options)
        assert message in capsys.readouterr().err
