import math

import pytest
import torch
from torch import nn
from torch.func import grad, hessian, jacrev

from mtrl.agents.hypergradient import Inverse, bilevel_loss
from mtrl.agents.nested_moco import NestedSAC
from mtrl.aggregators import Mean, MoCo
from mtrl.errors import UsageError
from mtrl.gradients.flat_module import PerTask
from mtrl.types import SuiteSpec, Transition
from tests.agents.built_agents import build, parameters
from tests.conftest import random_batch

INDEPENDENT = {"_target_": "mtrl.agents.networks.IndependentMLP", "_partial_": True, "hidden": [16, 16]}


class SmoothCritics(nn.Module):
    """tanh instead of ReLU: finite differences need a smooth inner problem."""

    def __init__(self, sizes, layers):
        super().__init__()
        networks = (
            nn.Sequential(layers.linear(sizes.inputs, 3), nn.Tanh(), layers.linear(3, sizes.outputs))
            for _ in sizes.task_names
        )
        self.layers = PerTask(networks)

    def forward(self, task, *inputs):
        return self.layers(torch.cat(inputs, dim=-1))


class SmoothActor(nn.Module):
    def __init__(self, sizes, layers):
        super().__init__()
        self.layers = nn.Sequential(
            layers.linear(sizes.inputs, 2), nn.Tanh(), layers.linear(2, sizes.outputs)
        )

    def forward(self, task, *inputs):
        return self.layers(torch.cat(inputs, dim=-1))


TINY = SuiteSpec(("a", "b"), obs_size=2, action_size=1, horizon=10, num_goals=4)


def tiny_agent(**options):
    agent = NestedSAC(
        TINY,
        MoCo(2),
        Mean(2),
        torch.device("cpu"),
        torch.Generator().manual_seed(0),
        network=SmoothActor,
        critic_network=SmoothCritics,
        **options,
    )
    agent.tasks = agent.tasks.double()
    for network in (agent.actor.network, agent.critic.network, agent.target_critic):
        network.double()
    return agent


@torch.no_grad()
def tiny_batch(agent):
    """In double precision, at temperatures where the entropy does not outweigh the values."""
    agent.temperature.log_alpha.data.fill_(math.log(0.1))
    data = agent.task_batch(random_batch(TINY, 8))
    return type(data)(*(field.double() if field.is_floating_point() else field for field in data))


def problem(agent, batch, task):
    """f and l of one task, on samples of which all noise is fixed."""
    losses = agent.losses
    data = type(batch)(*(field[task] for field in batch))
    none = torch.zeros(0, dtype=torch.float64)

    def upper(x, z):
        return losses.actor_loss(x, none, (data, z))

    def lower(x, z):
        target = losses.td_target(x, none, agent.target_critic.own[task], data)
        return losses.critic_loss(none, z, (data, target))[0]

    return upper, lower


@pytest.mark.parametrize("solver", ["neumann", "cg"])
def test_actor_gradients_are_those_of_equation_15(solver):
    agent = tiny_agent(hypergradient=solver, terms=80 if solver == "neumann" else 32, damping=10.0)
    batch = tiny_batch(agent)
    with torch.no_grad():
        found = agent.actor_gradients(batch).shared
    x = agent.actor.network.shared.detach()
    for task in range(2):
        upper, lower = problem(agent, batch, task)
        z = agent.critic.network.own[task].detach()
        direct, slope = grad(lambda x, z, upper=upper: upper(x, z)[0], argnums=(0, 1))(x, z)
        curvature = hessian(lower, argnums=1)(x, z) + 10.0 * torch.eye(len(z)).double()
        mixed = jacrev(grad(lower, argnums=1), argnums=0)(x, z)  # [Q, P]
        expected = direct - mixed.T @ torch.linalg.solve(curvature, slope)
        torch.testing.assert_close(found[task], expected, rtol=1e-6, atol=1e-9)
        assert (expected - direct).norm() > 1e-3 * direct.norm()


def test_the_hypergradient_agrees_with_finite_differences():
    """d/dx f(x, z*(x)), with the critics' loss and a ridge minimised anew at every x."""
    agent = tiny_agent(hypergradient="cg")
    upper, loss = problem(agent, tiny_batch(agent), task=0)

    def lower(x, z):
        return loss(x, z) + 0.05 * z.square().sum()

    @torch.no_grad()
    def solve(x, z):
        for _ in range(100):  # Newton's steps, damped where the slope is not yet small
            slope = grad(lower, argnums=1)(x, z)
            values, vectors = torch.linalg.eigh(hessian(lower, argnums=1)(x, z))
            step = vectors @ ((vectors.T @ slope) / values.abs().clamp(min=min(1e-2, float(slope.norm()))))
            z = z - step * min(1.0, 0.3 / float(step.norm().clamp(min=1e-12)))
            if step.norm() < 1e-12:
                break
        assert values.min() > 0
        assert step.norm() < 1e-12
        return z

    x = agent.actor.network.shared.detach()
    z = solve(x, agent.critic.network.own[0].detach())
    inverse = Inverse("cg", 2 * len(z), damping=0.0)
    found = grad(lambda x: bilevel_loss(upper, lower, x, z, inverse)[0])(x)
    direct = grad(lambda x: upper(x, z)[0])(x)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        move = 1e-4 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        ends = [upper(end, solve(end, z))[0] for end in (x + move, x - move)]
        difference = (ends[0] - ends[1]) / 2
        torch.testing.assert_close(found @ move, difference, rtol=1e-4, atol=1e-10)
        assert (direct @ move - difference).abs() > 1e-2 * difference.abs()


def test_without_a_hypergradient_it_is_sac_with_independent_critics(spec):
    nested = build("nested_moco", spec, "moco")
    plain = build("sac", spec, "moco", critic_network=INDEPENDENT)
    for step in range(3):
        for agent in (nested, plain):
            agent.update(random_batch(spec, 8, seed=step), diagnose=False)
    for name, value in parameters(nested).items():
        assert torch.equal(value, parameters(plain)[name]), name


def test_the_critics_of_all_tasks_take_the_step_of_independent_agents(spec):
    nested, single = build("nested_moco", spec), build("single_task", spec)
    single.critic.network.own.data.copy_(nested.critic.network.own)
    batch = random_batch(spec, 8)
    # Whose actors differ, so without a next value: an end everywhere.
    batch = batch._replace(terminated=torch.ones_like(batch.terminated))
    with torch.no_grad():
        for agent in (nested, single):
            agent.update_critics(agent.task_batch(batch), diagnose=False)
    assert nested.critic.network.shared.numel() == 0
    assert torch.equal(nested.critic.network.own, single.critic.network.own)


def test_inner_steps_use_one_part_of_the_batch_each(spec):
    nested, plain = build("nested_moco", spec, inner_steps=3), build("nested_moco", spec)
    batch = random_batch(spec, 8)
    with torch.no_grad():
        data = nested.task_batch(batch)
        nested.update_critics(data, diagnose=False)
        for part in (slice(0, 3), slice(3, 6), slice(6, 8)):
            samples = plain.task_batch(Transition(*(field[:, part] for field in batch)))
            samples = samples._replace(next_noise=data.next_noise[:, part])
            plain.update_critics(samples, diagnose=False)
    assert torch.equal(nested.critic.network.own, plain.critic.network.own)


def test_moco_tracks_the_hypergradients(spec):
    options = {"hypergradient": "cg", "terms": 2}
    agent, same = (build("nested_moco", spec, "moco", **options) for _ in range(2))
    metrics = agent.update(random_batch(spec, 8), diagnose=False)
    assert metrics["actor/inverse_residual"].shape == (3,)
    with torch.no_grad():
        data = same.task_batch(random_batch(spec, 8))
        same.update_critics(data, diagnose=False)
        expected = same.actor_gradients(data._replace(next_noise=same.draw(3, 8, 2))).shared
    assert torch.equal(agent.actor.aggregator.tracker.rows, expected)


@pytest.mark.parametrize("solver", ["neumann", "cg"])
@pytest.mark.parametrize("network", ["OneHotMLP", "MultiHead"])
def test_hypergradients_need_no_host_and_fit_any_actor(spec, solver, network):
    options = {
        "hypergradient": solver,
        "inner_steps": 2,
        "network": {"_target_": f"mtrl.agents.networks.{network}"},
    }
    agent = build("nested_moco", spec, "moco", device="meta", **options)
    metrics = agent.update(random_batch(spec, 8, device="meta"), diagnose=True)
    assert {value.device.type for value in metrics.values()} == {"meta"}
    agent = build("nested_moco", spec, "cagrad_fast", **options)
    metrics = agent.update(random_batch(spec, 8), diagnose=True)
    assert all(value.isfinite().all() for value in metrics.values())


def test_hypergradients_compile_into_one_graph(spec):
    agent = build("nested_moco", spec, "moco", hypergradient="cg", terms=1)

    def gradients(data):
        return agent.actor_gradients(data).shared

    torch.compiler.reset()
    graph = torch.compile(gradients, fullgraph=True, backend="eager")
    with torch.no_grad():
        data = agent.task_batch(random_batch(spec, 8))
        torch.testing.assert_close(graph(data), gradients(data))


def test_shared_critics_cannot_be_an_inner_problem_of_one_task(spec):
    shared = {"_target_": "mtrl.agents.networks.MultiHead"}
    with pytest.raises(UsageError, match="critics that belong to one task each"):
        build("nested_moco", spec, hypergradient="cg", critic_network=shared)
    build("nested_moco", spec, inner_steps=2, critic_network=shared)


@pytest.mark.parametrize(
    "option",
    [
        {"inner_steps": 0},
        {"inner_steps": 1.5},
        {"hypergradient": "newton"},
        {"terms": 0},
        {"damping": -0.1},
    ],
)
def test_options_out_of_range_are_named(spec, option):
    with pytest.raises(UsageError, match=next(iter(option))):
        build("nested_moco", spec, **option)


def test_more_inner_steps_than_samples_are_refused(spec):
    with pytest.raises(UsageError, match="inner_steps must be at most the batch size per task, 8, found 9"):
        build("nested_moco", spec, inner_steps=9).update(random_batch(spec, 8), diagnose=False)
