import copy

import pytest
import torch
from torch.func import vmap

from mtrl.agents.sac import SAC
from mtrl.aggregators import Mean
from mtrl.errors import UsageError
from tests.agents.built_agents import build, parameters
from tests.conftest import random_batch


@pytest.mark.parametrize("agent", ["sac", "multihead"])
@pytest.mark.parametrize("part", ["critic", "actor"])
def test_mean_direction_is_the_gradient_of_the_average_loss(spec, agent, part):
    built, reference = (build(agent, spec, aggregate="all") for _ in range(2))
    batch = random_batch(spec, 8)
    for one in (built, reference):
        one.generator.manual_seed(1)
    built.update(batch, diagnose=False)

    # The same losses, written for the joint batch and differentiated by one ordinary backward pass.
    alpha = reference.temperature.log_alpha.detach().exp()  # [K]
    noise = [reference.draw(3, 8, 2) for _ in range(2)]
    tasks = reference.tasks
    if part == "critic":
        with torch.no_grad():
            action, log_prob = reference.policy.sample(
                reference.actor.network(tasks, batch.next_obs), noise[0]
            )
            values = reference.target_critic(tasks, batch.next_obs, action).squeeze(-1).amin(1)
            values = values - alpha[:, None] * log_prob
            target = batch.reward + reference.losses.discount * torch.where(batch.terminated, 0, values)
        values = reference.critic.network(tasks, batch.obs, batch.action).squeeze(-1)  # [K, 2, B]
        loss = (values - target[:, None]).square().mean(-1).sum() / 3
        network, found = reference.critic.network, built.critic.network
    else:
        # The actor's loss sees the critics after their step.
        critic = built.critic.network
        action, log_prob = reference.policy.sample(reference.actor.network(tasks, batch.obs), noise[1])
        values = critic(tasks, batch.obs, action).squeeze(-1).amin(1)
        loss = (alpha[:, None] * log_prob - values).mean()
        network, found = reference.actor.network, built.actor.network
    loss.backward()
    for name, parameter in network.named_parameters():
        if parameter.numel():
            grad = found.get_parameter(name).grad
            torch.testing.assert_close(grad, parameter.grad, rtol=1e-4, atol=1e-6)


def test_a_time_limit_bootstraps_and_a_termination_does_not(spec):
    agent = build("sac", spec)
    batch = random_batch(spec, 4)
    actor, critic = agent.actor.network, agent.target_critic

    def targets(terminated):
        data = agent.task_batch(batch._replace(terminated=terminated))
        own = actor.own, critic.own
        return vmap(agent.losses.td_target, in_dims=(None, 0, 0, 0))(actor.shared, *own, data)

    ended = targets(torch.ones(3, 4, dtype=torch.bool))
    running = targets(torch.zeros(3, 4, dtype=torch.bool))
    assert torch.equal(ended, batch.reward)
    assert (running != batch.reward).all()


def test_targets_follow_the_critics_by_the_polyak_share(spec):
    agent = build("multihead", spec, polyak=0.25)
    before = copy.deepcopy(agent.target_critic)
    agent.update(random_batch(spec, 8), diagnose=False)
    for name, target in agent.target_critic.named_parameters():
        old, new = before.get_parameter(name), agent.critic.network.get_parameter(name)
        torch.testing.assert_close(target, 0.75 * old + 0.25 * new)


def test_the_averaged_actor_follows_by_its_share_and_acts_without_noise(spec):
    agent, plain = build("sac", spec, actor_polyak=0.25), build("sac", spec)
    expected = {name: old.clone() for name, old in plain.actor.network.named_parameters()}
    for seed in range(3):
        batch = random_batch(spec, 8, seed)
        for each in (agent, plain):
            each.update(batch, diagnose=False)
        for name, new in plain.actor.network.named_parameters():
            expected[name] = 0.75 * expected[name] + 0.25 * new.detach()
    for name, value in agent.averaged_actor.named_parameters():
        torch.testing.assert_close(value, expected[name])
    obs = torch.randn(spec.num_tasks, 4, spec.obs_size)
    outputs = agent.averaged_actor(agent.tasks, obs)
    torch.testing.assert_close(agent.act(obs, deterministic=True), agent.policy.mode(outputs))
    assert not torch.equal(agent.act(obs, deterministic=True), plain.act(obs, deterministic=True))
    for each in (agent, plain):  # with noise the actor itself
        each.generator.manual_seed(1)
    assert torch.equal(agent.act(obs, deterministic=False), plain.act(obs, deterministic=False))


def test_parameter_counts_are_those_of_the_networks(spec):
    counts = build("sac", spec).parameter_counts()
    inputs = 5 + 3
    actor = (inputs + 1) * 16 + 17 * 16 + 17 * 4
    critics = 2 * ((inputs + 2 + 1) * 16 + 17 * 16 + 17)
    assert counts == {"actor": actor, "critics": critics, "temperatures": 3}
    counts = build("single_task", spec, temperature="shared").parameter_counts()
    assert counts == {"actor": 3 * (actor - 3 * 16), "critics": 3 * (critics - 2 * 3 * 16), "temperatures": 1}


def test_layer_norm_goes_where_it_is_asked(spec):
    sizes = [build("sac", spec, layer_norm=where).parameter_counts() for where in ("none", "critic", "both")]
    norms = 2 * 2 * 16  # two hidden layers, weight and bias
    assert [size["actor"] - sizes[0]["actor"] for size in sizes] == [0, 0, norms]
    assert [size["critics"] - sizes[0]["critics"] for size in sizes] == [0, 2 * norms, 2 * norms]


def test_temperature_weights_favour_tasks_with_a_certain_policy(spec):
    agent, plain = build("sac", spec, task_weights="temperature"), build("sac", spec)
    batches = []
    for one in (agent, plain):
        one.choose_gradients("rows")
        one.temperature.log_alpha.data[:] = torch.tensor([0.1, 1.0, 1.0]).log()
        batches.append(one.task_batch(random_batch(spec, 4)))
    weights = batches[0].weight
    torch.testing.assert_close(weights.sum(), torch.tensor(3.0))
    assert weights[0] > weights[1] == weights[2]
    found, expected = (one.critic_gradients(data) for one, data in zip((agent, plain), batches, strict=True))
    torch.testing.assert_close(found.shared, weights[:, None] * expected.shared)


def test_python_gets_by_with_the_defaults(spec):
    agent = SAC(spec, Mean(3), Mean(3), torch.device("cpu"), torch.Generator().manual_seed(0))
    assert agent.act(torch.zeros(3, 1, 5), deterministic=True).shape == (3, 1, 2)


def test_single_task_agents_are_separate_sacs(spec):
    """K agents in one batched update equal K agents one after the other."""
    joint = build("single_task", spec)
    alone = [build("single_task", spec._replace(task_names=(name,))) for name in spec.task_names]
    for task, agent in enumerate(alone):
        for mine, theirs in zip(parameters(agent).values(), parameters(joint).values(), strict=True):
            mine.data.copy_(theirs[task : task + 1] if theirs.numel() else theirs)
    for step in range(5):
        noise = iter(torch.randn(2, 3, 8, 2))
        first, second = next(noise), next(noise)
        batch = random_batch(spec, 8, seed=step)
        for task, agent in [(slice(None), joint), *((slice(k, k + 1), one) for k, one in enumerate(alone))]:
            draws = iter([first[task], second[task]])
            agent.draw = lambda shape, draws=draws: next(draws)
            agent.update(type(batch)(*(field[task] for field in batch)), diagnose=False)
    for task, agent in enumerate(alone):
        for (name, mine), theirs in zip(parameters(agent).items(), parameters(joint).values(), strict=True):
            expected = theirs[task : task + 1] if theirs.numel() else theirs
            torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-6, msg=name)
        torch.testing.assert_close(agent.temperature.log_alpha, joint.temperature.log_alpha[task : task + 1])


@pytest.mark.parametrize(
    "option",
    [
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"max_gradient_norm": 0.0},
        {"aggregate": "some"},
        {"discount": 1.5},
        {"polyak": 0.0},
        {"actor_polyak": 0.0},
        {"temperature": "none"},
        {"initial_temperature": 0.0},
        {"task_weights": "loss"},
        {"reward_scale": 0.0},
        {"reward_scale": [1.0, 2.0]},
        {"layer_norm": True},
        {"log_std": "hard"},
    ],
)
def test_options_out_of_range_are_named(spec, option):
    with pytest.raises(UsageError, match=next(iter(option))):
        build("sac", spec, **option)


def test_the_target_entropy_is_minus_the_number_of_actions_unless_given(spec):
    entropy = torch.tensor([1.0, -1.0, -3.0])  # above, above, and below a target of -2
    for target, moves in ((None, [-1, -1, 1]), (0.0, [-1, 1, 1])):
        one = build("sac", spec, target_entropy=target).temperature
        before = one.log_alpha.detach().clone()
        one.step(entropy)
        assert (one.log_alpha.detach() - before).sign().tolist() == moves
