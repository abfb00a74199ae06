from functools import partial
from types import SimpleNamespace

import pytest
import torch

from benchmarks import xla
from benchmarks.update import random_batch
from mtrl.agents.networks import OneHotMLP, UnconditionedMLP
from mtrl.agents.sac import SAC
from mtrl.aggregators import Mean
from mtrl.errors import UsageError
from mtrl.types import SuiteSpec

CPU = torch.device("cpu")
SPEC = SuiteSpec(("a", "b", "c"), 39, 4, 500, 50)


def small_agent(network=OneHotMLP, **options):
    network = partial(network, hidden=[16, 16])
    generator = torch.Generator().manual_seed(0)
    return SAC(SPEC, Mean(3), Mean(3), CPU, generator, network=network, learning_rate=1e-2, **options)


def test_the_jax_program_makes_the_same_updates():
    pytest.importorskip("jax")
    agent, batch = small_agent(), random_batch(SPEC, 8, CPU)
    batch.terminated[0, :3] = True
    theirs = xla.XlaUpdate(agent, batch, "float32")
    for update in range(4):
        noise = [torch.randn(batch.action.shape) for _ in range(2)]
        agent.draw = lambda *_, left=noise[:]: left.pop(0)
        ours, losses = agent.update(batch, diagnose=False), theirs.with_noise(*noise)
        for name, found in losses.items():
            expected = ours[name]
            torch.testing.assert_close(
                torch.tensor(found.__array__()), expected, rtol=1e-4, atol=1e-4, msg=f"{name}, {update}"
            )
    alpha = torch.tensor(theirs.state.log_alpha.__array__())
    torch.testing.assert_close(alpha, agent.temperature.log_alpha.detach(), rtol=1e-4, atol=1e-5)
    target = torch.tensor(theirs.state.targets[1][0][0].__array__()).T.flatten()
    vector = agent.target_critic.shared.detach()
    second = vector[len(vector) // 2 :][: len(target)]
    torch.testing.assert_close(target, second, rtol=1e-4, atol=1e-6)


def test_an_update_that_the_program_does_not_make_is_refused():
    batch = random_batch(SPEC, 8, CPU)
    for agent in (
        small_agent(UnconditionedMLP),
        small_agent(layer_norm="critic"),
        small_agent(weight_decay=0.1),
        SimpleNamespace(),
    ):
        with pytest.raises(UsageError, match="plain SAC"):
            xla.XlaUpdate(agent, batch, "default")
