"""Which classes a configuration may name; the harmful ones are in test_hostile_files."""

import sys
import types

import pytest
from torch import nn

from mtrl.aggregators import CAGrad, CorrelationReduced, GradientTracking, Mean
from mtrl.config.allowed_classes import CONTRACTS
from mtrl.config.instantiate import build
from mtrl.envs.point_mass import PointMassSuite
from mtrl.errors import UsageError


class MyNetwork(nn.Module):
    def __init__(self, sizes, layers, *, width=3):
        super().__init__()


class MyAgent:
    def __init__(self, spec, actor_aggregator, critic_aggregator, device, generator, *, network, scale=1.0):
        self.network = network("sizes", "layers")

    def act(self, obs, deterministic): ...

    def update(self, batch, diagnose): ...

    def parameter_counts(self): ...

    def state_dict(self): ...

    def load_state_dict(self, state): ...


class Unfinished(MyAgent):
    update = None


class MyAggregator(Mean):
    def __init__(self, num_tasks, *, strength):
        super().__init__(num_tasks)
        if strength == "much":
            raise TypeError("no such strength")


def my_suite(*, seed: int, tasks: int) -> PointMassSuite:
    return PointMassSuite(seed=seed, tasks=tasks)


def unannotated(*, seed, tasks):
    return my_suite(seed=seed, tasks=tasks)


@pytest.fixture(autouse=True)
def my_file(monkeypatch):
    module = types.ModuleType("my_file")
    vars(module).update({name: value for name, value in globals().items() if name[:1] != "_"})
    monkeypatch.setitem(sys.modules, "my_file", module)


AGENT_FACTS = dict.fromkeys(CONTRACTS["agent"].keywords)
NETWORK = {"_target_": "my_file.MyNetwork", "_partial_": True, "width": 4}


def test_classes_of_ones_own_need_nothing_but_their_contract():
    agent = build("agent", {"_target_": "my_file.MyAgent", "network": NETWORK}, **AGENT_FACTS)
    assert isinstance(agent.network, MyNetwork)
    assert build("env", {"_target_": "my_file.my_suite", "tasks": 3}, seed=0).spec.num_tasks == 3
    node = {"_target_": "my_file.MyAggregator", "strength": 1}
    assert build("aggregator", node, num_tasks=2).num_tasks == 2


def test_aggregators_nest():
    inner = {"_target_": "mtrl.aggregators.CAGrad", "_partial_": True, "c": 0.3}
    smoothed = {"_target_": "mtrl.aggregators.CorrelationReduced", "_partial_": True, "inner": inner}
    tracked = {"_target_": "mtrl.aggregators.GradientTracking", "inner": smoothed}
    built = build("aggregator", tracked, num_tasks=3)
    assert isinstance(built, GradientTracking)
    assert isinstance(built.inner, CorrelationReduced)
    assert isinstance(built.inner.inner, CAGrad)
    assert built.inner.inner.c == 0.3


@pytest.mark.parametrize(
    ("leaf", "node", "words"),
    [
        (
            "env",
            {"_target_": "my_file.unannotated", "tasks": 3},
            "with the methods of mtrl.types.Suite",
        ),
        ("agent", {"_target_": "my_file.Unfinished", "network": NETWORK}, "update"),
        ("agent", {"_target_": "my_file.MyAgent"}, "missing a required argument: 'network'"),
        ("agent", {"_target_": "my_file.MyAgent", "network": NETWORK, "spec": 3}, "agent.spec follows from"),
        ("agent", {"_target_": "my_file.MyAgent", "network": NETWORK | {"hidden": 3}}, "'hidden'"),
        ("agent", {"_target_": "my_file.Nothing"}, "has no 'Nothing'"),
        ("aggregator", {"_target_": "my_file.MyAggregator", "strength": "much"}, "test_instantiate.py, line"),
        ("aggregator", {"_target_": "mtrl.aggregators.CAGrad", "c": -1}, "aggregator: CAGrad: c must be"),
        ("aggregator", {"_target_": "mtrl.aggregators.Aggregator"}, "abstract"),
    ],
)
def test_what_does_not_fit_is_named(leaf, node, words):
    facts = AGENT_FACTS if leaf == "agent" else {"seed": 0} if leaf == "env" else {"num_tasks": 2}
    with pytest.raises(UsageError) as raised:
        build(leaf, node, **facts)
    assert words in str(raised.value)
