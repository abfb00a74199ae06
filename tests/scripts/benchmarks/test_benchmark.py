import json
import sys
from functools import partial
from importlib.util import find_spec

import benchmark
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.aggregators import _gap
from benchmarks.aggregators import random_gradients as benchmark_rows
from benchmarks.gemm_baseline import update_products
from benchmarks.joint_backward_baseline import METHODS, joint_backward_aggregator, use_joint_backward
from benchmarks.update import random_batch
from mtrl.agents.networks import OneHotMLP
from mtrl.agents.sac import SAC
from mtrl.aggregators import Mean, PCGrad
from mtrl.config.registry import build_method, method_names
from mtrl.types import SuiteSpec


def benchmark_update(monkeypatch, tmp_path, *options):
    target = tmp_path / "rows.json"
    small = ["--tasks", "3", "--hidden", "8", "8", "--batch-size", "2", "--repeats", "1"]
    monkeypatch.setattr(sys, "argv", ["benchmark", "update", *small, "--json", str(target), *options])
    benchmark.main()
    return {row["contender"]: row for row in json.loads(target.read_text())}


def test_update_prints_and_writes_ratios_of_one_run(monkeypatch, tmp_path, capsys):
    options = (
        "--published",
        "cagrad",
        "pcgrad",
        "--variants",
        "bf16",
        "compile",
        "mkl",
        "--agents",
        "sac",
        "multihead",
        "--profile",
    )
    monkeypatch.setattr(torch, "compile", lambda call, **_: call)  # which takes minutes
    rows = benchmark_update(monkeypatch, tmp_path, *options)
    variants = {f"{method}, {name}" for method in ("mean", "cagrad") for name in ("bf16", "compile", "mkl")}
    variants.add("multihead, mean")
    published = {"cagrad, as published", "pcgrad, as published"}
    assert set(rows) == {"mean", "cagrad", "matrix products alone"} | variants | published
    assert rows["mean"]["ratio"] == 1
    assert rows["mean"]["gemm_ratio"] > 1
    assert rows["cagrad"]["speedup"] == pytest.approx(
        rows["cagrad, as published"]["milliseconds"] / rows["cagrad"]["milliseconds"]
    )
    assert rows["mean"]["speedup"] is None
    assert {name for name, row in rows.items() if row["compiling"]} == {"mean, compile", "cagrad, compile"}
    assert all(row["milliseconds"] > 0 and row["tasks"] == 3 for row in rows.values())
    assert "aten::bmm" in capsys.readouterr().out


@pytest.mark.parametrize("options", [("--variants", "fast"), ("--published", "moco"), ("--tasks", "0")])
def test_what_cannot_be_timed_is_refused(monkeypatch, tmp_path, options):
    with pytest.raises(SystemExit, match="2"):
        benchmark_update(monkeypatch, tmp_path, *options)


def small_agent(method):
    spec = SuiteSpec(("a", "b", "c"), 39, 4, 500, 50)
    parts = [joint_backward_aggregator(method, 3) if method in METHODS else Mean(3) for _ in range(2)]
    network = partial(OneHotMLP, hidden=[8, 8])
    agent = SAC(spec, *parts, torch.device("cpu"), torch.Generator().manual_seed(0), network=network)
    return agent, random_batch(spec, 4, torch.device("cpu"))


@pytest.mark.parametrize("method", ["mean", "cagrad"])
def test_the_published_way_makes_the_same_update(method):
    (ours, batch), (published, _) = small_agent(method), small_agent(method)
    published = use_joint_backward(published, published.actor.aggregator, published.critic.aggregator)
    for agent in (ours, published):
        agent.update(batch, diagnose=False)
    for name in ("actor", "critic"):
        mine, theirs = (getattr(agent, name).network.shared.grad for agent in (ours, published))
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_pcgrad_in_parameter_space_is_pcgrad(monkeypatch):
    gradients, losses = benchmark_rows(4, 30, torch.device("cpu")), torch.ones(4)
    orders = torch.stack([torch.randperm(4) for _ in range(4)])
    draws = iter(orders)
    monkeypatch.setattr(torch, "randperm", lambda count: next(draws))
    monkeypatch.setattr("mtrl.aggregators.pcgrad.random_orders", lambda gram: orders)
    theirs = joint_backward_aggregator("pcgrad", 4)(gradients, losses).vector
    torch.testing.assert_close(theirs, PCGrad(4)(gradients, losses).vector, rtol=1e-4, atol=1e-5)


def test_the_products_are_those_of_an_update():
    agent, batch = small_agent("mean")
    call, flop = update_products(agent, 4)
    with FlopCounterMode(display=False) as products:
        call()
    assert products.get_total_flops() == flop
    agent.update(batch, diagnose=False)  # the first one also looks which layers there are
    with FlopCounterMode(display=False) as update:
        agent.update(batch, diagnose=False)
    # An update may hold some more: the weights times the gradients.
    assert flop <= update.get_total_flops() < 1.05 * flop


def test_memory_is_predicted_and_measured(monkeypatch, tmp_path):
    target = tmp_path / "rows.json"
    options = ["--hidden", "300", "300", "--batch-size", "64", "--aggregators", "moco", "--json", str(target)]
    monkeypatch.setattr(sys, "argv", ["benchmark", "memory", *options])
    benchmark.main()
    mean, moco = json.loads(target.read_text())
    assert moco["gradients"] == pytest.approx(4e-6 * 10 * moco["parameters"])
    assert moco["predicted"] - mean["predicted"] > moco["gradients"]  # the tracked gradients
    for row in (mean, moco):
        assert row["predicted"] > row["gradients"]
        assert 0.9 * row["measured"] < row["predicted"] < 1.2 * row["measured"]  # it says "at most"


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


def test_a_step_is_timed_by_part_and_as_a_whole(monkeypatch, tmp_path, capsys):
    target = tmp_path / "parts.json"
    small = ["--hidden", "8", "8", "--batch-size", "2", "--options", "compile=false"]
    small += ["--steps", "6", "--log-interval", "3"]
    monkeypatch.setattr("benchmarks.loop.WARM_UP", 2)
    monkeypatch.setattr(sys, "argv", ["benchmark", "loop", *small, "--json", str(target)])
    benchmark.main()
    found = json.loads(target.read_text())
    parts = found["parts"]
    assert list(parts) == ["act", "send", "sample", "update", "receive", "store", "log", "other"]
    assert all(seconds > 0 for seconds in parts.values())
    assert max(parts, key=parts.get) == "update"
    assert found["together"] == pytest.approx(sum(parts.values()))
    assert "float32, 1 thread(s)" in " ".join(capsys.readouterr().out.split())
