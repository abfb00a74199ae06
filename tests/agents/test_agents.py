"""What every agent of the configuration folder must do."""

import pytest
import torch

from mtrl.errors import UsageError
from tests.agents.built_agents import AGENTS, build, parameters
from tests.conftest import random_batch
from tests.mtrl.aggregators.built_aggregators import METHODS, WAITS_FOR_THE_DEVICE

ON_DEVICE = [method for method in METHODS if method not in WAITS_FOR_THE_DEVICE]
COMPILED = ["mean", "cagrad", "cagrad_fast", "moco"]


def pairs(methods):
    """Every agent with the mean, and the plain agent with every method."""
    return [(agent, "mean") for agent in AGENTS] + [("sac", name) for name in methods if name != "mean"]


@pytest.mark.parametrize(("agent", "method"), pairs(ON_DEVICE))
def test_update_runs_without_a_host_sync_or_a_stray_host_tensor(spec, agent, method):
    built = build(agent, spec, method, device="meta")
    metrics = built.update(random_batch(spec, 8, device="meta"), diagnose=True)
    assert {value.device.type for value in metrics.values()} == {"meta"}
    assert built.act(torch.empty(3, 2, 5, device="meta"), deterministic=False).shape == (3, 2, 2)


# Where nothing belongs to one task, ``all`` is ``shared``. Else whose it is changes nothing of how directions
# are made: heads with every method stand for all, beside networks that share nothing and embeddings.
NOTHING_OF_A_TASK = ("care", "sac", "sac_unconditioned")
QUICK = [("multihead", method) for method in COMPILED] + [("single_task", "mean"), ("task_encoder", "mean")]
OTHERS = [(agent, "mean") for agent in AGENTS if agent not in (*NOTHING_OF_A_TASK, *dict(QUICK))]


@pytest.mark.parametrize(
    ("agent", "method", "scope"),
    [
        *((*pair, "shared") for pair in pairs(COMPILED)),
        *((*pair, "all") for pair in QUICK),
        *(pytest.param(*pair, "all", marks=pytest.mark.slow) for pair in OTHERS),
    ],
)
def test_gradients_and_aggregation_compile_into_one_graph(spec, agent, method, scope):
    eager, compiled = (build(agent, spec, method, aggregate=scope) for _ in range(2))

    def direction(built, data):
        aggregated = built.critic.aggregate(built.critic_gradients(data))
        return aggregated.shared, aggregated.own

    with torch.no_grad():
        data = eager.task_batch(random_batch(spec, 8))
    torch.compiler.reset()  # graphs are counted per function, and every agent makes its own
    graph = torch.compile(direction, fullgraph=True, backend="eager")
    with torch.no_grad():
        for seed in range(2):
            torch.manual_seed(seed)
            expected = direction(eager, data)
            torch.manual_seed(seed)
            torch.testing.assert_close(graph(compiled, data), expected)


@pytest.mark.parametrize(("agent", "method"), pairs(METHODS))
def test_equal_seeds_give_equal_agents(spec, agent, method):
    agents = [build(agent, spec, method, seed=3) for _ in range(2)]
    for built in agents:
        torch.manual_seed(0)  # aggregators draw from PyTorch's own generator
        for step in range(3):
            built.update(random_batch(spec, 8, seed=step), diagnose=False)
    for first, second in zip(*(parameters(built).values() for built in agents), strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(("agent", "method"), pairs(METHODS))
def test_a_fresh_agent_continues_from_a_state(spec, agent, method, tmp_path):
    options = {"normalize_rewards": True, "temperature": "shared"}
    built = build(agent, spec, method, **options)
    built.update(random_batch(spec, 8), diagnose=False)
    torch.save(built.state_dict(), tmp_path / "agent.pt")
    other = build(agent, spec, method, seed=9, **options)
    other.load_state_dict(torch.load(tmp_path / "agent.pt", weights_only=True))
    other.generator.set_state(built.generator.get_state())
    for one in (built, other):
        torch.manual_seed(1)
        one.update(random_batch(spec, 8, seed=1), diagnose=False)
    for name, value in parameters(built).items():
        assert torch.equal(value, parameters(other)[name]), name
    assert torch.equal(built.temperature.log_alpha, other.temperature.log_alpha)


@pytest.mark.parametrize("agent", AGENTS)
def test_state_of_another_suite_is_refused(spec, agent):
    state = build(agent, spec._replace(task_names=("turn-0", "turn-180"), obs_size=6)).state_dict()
    with pytest.raises(UsageError, match="same suite"):
        build(agent, spec).load_state_dict(state)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("method", ["cagrad", "cagrad_fast", "graddrop", "moco"])
@pytest.mark.parametrize("scope", ["shared", "all"])
def test_every_agent_takes_every_kind_of_aggregator(spec, agent, method, scope):
    built = build(agent, spec, method, aggregate=scope)
    before = {name: value.detach().clone() for name, value in parameters(built).items()}
    for _ in range(2):
        metrics = built.update(random_batch(spec, 8), diagnose=True)
    assert all(value.isfinite().all() for value in metrics.values())
    for name, value in parameters(built).items():
        assert value.numel() == 0 or not torch.equal(value, before[name]), name


@pytest.mark.parametrize("agent", [name for name in AGENTS if name != "sac_unconditioned"])
def test_the_policy_depends_on_the_task(spec, agent):
    built = build(agent, spec)
    for _ in range(3):  # some networks start out the same for all tasks
        built.update(random_batch(spec, 8), diagnose=False)
    actions = built.act(torch.randn(1, 1, 5).expand(3, 1, 5), deterministic=True)
    assert not torch.allclose(actions[0], actions[1])


def test_the_unconditioned_policy_does_not(spec):
    obs = torch.randn(1, 1, 5).expand(3, 1, 5)
    actions = build("sac_unconditioned", spec).act(obs, deterministic=True)
    torch.testing.assert_close(actions[0], actions[1])


@pytest.mark.parametrize("agent", AGENTS)
def test_no_hidden_layer_is_a_clear_error(spec, agent):
    with pytest.raises(UsageError, match="hidden must list at least one"):
        build(agent, spec, network={"hidden": []})
