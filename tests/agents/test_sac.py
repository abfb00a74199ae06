import copy
from functools import partial

import pytest
import torch
from torch.func import vmap

from agents.losses import CriticRows, actor_loss, critic_loss, squashed_gaussian, td_target
from agents.sac import SAC
from mtrl.aggregators import CAGrad, Mean
from mtrl.errors import UsageError
from tests.conftest import random_batch

AGGREGATORS = [Mean, CAGrad]


def agent_of(spec, aggregator=Mean, device="cpu", seed=0, **options):
    generator = None if device == "meta" else torch.Generator().manual_seed(seed)
    tasks = spec.num_tasks
    options = {"hidden": [16, 16], **options}
    return SAC(spec, aggregator(tasks), aggregator(tasks), torch.device(device), generator, **options)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_update_runs_without_a_host_sync_or_a_stray_host_tensor(spec, aggregator):
    agent = agent_of(spec, aggregator, device="meta")
    stats = agent.update(random_batch(spec, 8, device="meta"), diagnose=True)
    assert {value.device.type for value in stats.values()} == {"meta"}
    assert agent.act(torch.empty(3, 2, 5, device="meta"), deterministic=False).shape == (3, 2, 2)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_gradients_and_aggregation_compile_into_one_graph(spec, aggregator):
    agent = agent_of(spec, aggregator)
    batch = random_batch(spec, 8)
    rows = CriticRows(agent.tasks, batch.obs, batch.action, batch.reward)
    with torch.no_grad():
        expected = agent.critic_direction(rows).direction.vector
        compiled = torch.compile(agent.critic_direction, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(rows).direction.vector, expected)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_equal_seeds_give_equal_agents(spec, aggregator):
    agents = [agent_of(spec, aggregator, seed=3) for _ in range(2)]
    for step in range(3):
        for agent in agents:
            agent.update(random_batch(spec, 8, seed=step), diagnose=False)
    assert torch.equal(agents[0].actor.vector, agents[1].actor.vector)
    assert torch.equal(agents[0].target_critic.vector, agents[1].target_critic.vector)


@pytest.mark.parametrize("aggregator", AGGREGATORS)
def test_a_fresh_agent_continues_from_a_state(spec, aggregator, tmp_path):
    agent = agent_of(spec, aggregator)
    agent.update(random_batch(spec, 8), diagnose=False)
    torch.save(agent.state_dict(), tmp_path / "agent.pt")
    other = agent_of(spec, aggregator, seed=9)
    other.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    other.generator.set_state(agent.generator.get_state())
    for one in (agent, other):
        one.update(random_batch(spec, 8, seed=1), diagnose=False)
    assert torch.equal(agent.critic.vector, other.critic.vector)
    assert torch.equal(agent.log_alpha, other.log_alpha)


def test_state_of_another_suite_is_refused(spec):
    state = agent_of(spec._replace(task_names=("a", "b"))).state_dict()
    with pytest.raises(UsageError, match="same suite"):
        agent_of(spec).load_state_dict(state)


@pytest.mark.parametrize("name", ["critic", "actor"])
def test_mean_direction_is_the_gradient_of_the_average_loss(spec, name):
    agent = agent_of(spec)
    batch = random_batch(spec, 8)
    network, loss = {
        "critic": (agent.critic, partial(critic_loss, agent.critic)),
        "actor": (agent.actor, partial(actor_loss, agent.actor, agent.critic)),
    }[name]
    before = copy.deepcopy(network)
    agent.generator.manual_seed(1)
    agent.update(batch, diagnose=False)
    assert network.vector.grad is not None
    direction = network.vector.grad.clone()

    # The same losses as one ordinary backward pass over the joint batch.
    reference = agent_of(spec)
    reference.generator.manual_seed(1)
    alpha = reference.log_alpha.exp().detach()
    noise = [reference._noise(3, 8) for _ in range(2)]
    with torch.no_grad():
        target = vmap(partial(td_target, reference.actor, reference.target_critic, reference.discount))(
            reference.tasks, batch.reward, batch.next_obs, batch.terminated, noise[0], alpha
        )
    vector = before.vector
    total = 0.0
    for task in range(3):
        one_hot = reference.tasks[task]
        if name == "critic":
            rows = CriticRows(one_hot, batch.obs[task], batch.action[task], target[task])
            total = total + loss(vector, rows)[0] / 3
        else:
            outputs = before.apply_with(vector, one_hot, batch.obs[task])
            action, log_prob = squashed_gaussian(outputs, noise[1][task])
            value = agent.critic(one_hot, batch.obs[task], action).amin(0)
            total = total + (alpha[task] * log_prob - value).mean() / 3
    (expected,) = torch.autograd.grad(total, vector)
    torch.testing.assert_close(direction, expected, rtol=1e-4, atol=1e-6)


def test_a_time_limit_bootstraps_and_a_termination_does_not(spec):
    agent = agent_of(spec)
    batch = random_batch(spec, 4)
    noise = torch.zeros(3, 4, 2)
    alpha = torch.ones(3)

    def target(terminated):
        rows = (agent.tasks, batch.reward, batch.next_obs, terminated, noise, alpha)
        return vmap(partial(td_target, agent.actor, agent.target_critic, 0.9))(*rows)

    ended = target(torch.ones(3, 4, dtype=torch.bool))
    running = target(torch.zeros(3, 4, dtype=torch.bool))
    assert torch.equal(ended, batch.reward)
    assert (running != batch.reward).all()


def test_log_density_agrees_with_torch_distributions():
    # Small, so that the inverse of tanh in the reference stays exact.
    outputs, noise = 0.3 * torch.randn(2, 6, 4, dtype=torch.float64)
    noise = noise[:, :2]
    action, log_prob = squashed_gaussian(outputs, noise)
    mean, log_std = outputs.chunk(2, -1)
    transforms = [torch.distributions.TanhTransform()]
    base = torch.distributions.Normal(mean, log_std.exp())
    expected = torch.distributions.TransformedDistribution(base, transforms).log_prob(action).sum(-1)
    torch.testing.assert_close(log_prob, expected, rtol=1e-6, atol=1e-6)


def test_temperatures_move_towards_the_target_entropy_each_task_on_its_own(spec):
    for target, sign in ((-100.0, -1), (100.0, 1)):
        agent = agent_of(spec, target_entropy=target)
        before = agent.log_alpha.detach().clone()
        agent.update(random_batch(spec, 8), diagnose=False)
        assert torch.equal((agent.log_alpha.detach() - before).sign(), torch.full((3,), float(sign)))


def test_the_task_id_reaches_the_policy(spec):
    agent = agent_of(spec)
    obs = torch.randn(1, 1, 5).expand(3, 1, 5)
    actions = agent.act(obs, deterministic=True)
    assert not torch.allclose(actions[0], actions[1])


def test_parameter_counts_are_those_of_the_networks(spec):
    counts = agent_of(spec, hidden=[16, 16]).parameter_counts()
    inputs = 5 + 3
    actor = (inputs + 1) * 16 + 17 * 16 + 17 * 4
    critics = 2 * ((inputs + 2 + 1) * 16 + 17 * 16 + 17)
    assert counts == {"actor": actor, "critics": critics, "temperatures": 3}


@pytest.mark.parametrize(
    "option",
    [
        {"hidden": []},
        {"learning_rate": 0.0},
        {"discount": 1.5},
        {"polyak": 0.0},
        {"initial_temperature": 0.0},
        {"reward_scale": 0.0},
    ],
)
def test_options_out_of_range_are_named(spec, option):
    with pytest.raises(UsageError, match=next(iter(option))):
        agent_of(spec, **option)
