from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.func import grad, vmap

from mtrl.agents.learner import Learner, StepOptions
from mtrl.agents.networks import Layers, MultiHead, Sizes
from mtrl.agents.networks.rotation import RotatedHead, rotation_matrix, unit
from mtrl.aggregators import Mean
from mtrl.errors import UsageError
from mtrl.gradients.flat_module import FlatModule
from tests.agents.built_agents import build
from tests.conftest import random_batch

SIZES = Sizes(("a", "b"), inputs=3, outputs=2)


def multihead(rotation):
    layers = Layers(torch.device("cpu"), torch.Generator().manual_seed(0))
    return MultiHead(SIZES, layers, hidden=(6,), rotation=rotation)


def skew_of(network):
    """The rotations' parameters [K, ...]."""
    name, shape = next(iter(network.own_shapes.items()))
    assert name.endswith("skew")  # a module's own parameters come before those of its parts
    return network.own[:, : shape.numel()]


@pytest.mark.parametrize("size", [2, 3, 10])
def test_a_rotation_is_orthogonal_and_turns_no_mirror(size):
    skew = 3 * torch.randn(size * (size - 1) // 2, dtype=torch.float64)
    rotation = rotation_matrix(skew, size)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(size).double())
    torch.testing.assert_close(torch.linalg.det(rotation), torch.tensor(1.0).double())
    assert not torch.allclose(rotation, torch.eye(size).double())
    torch.testing.assert_close(rotation_matrix(torch.zeros_like(skew), size), torch.eye(size).double())


@pytest.mark.parametrize("size", [4, 6])
def test_only_the_first_features_are_turned(size):
    head = RotatedHead(nn.Linear(6, 2), size)
    nn.init.normal_(head.skew)
    features = torch.randn(5, 6)
    whole = torch.eye(6)
    whole[:size, :size] = rotation_matrix(head.skew, size).detach()
    torch.testing.assert_close(head(features), head.head(features @ whole.T))


def test_conflicting_feature_gradients_are_turned_towards_each_other():
    """Two tasks want opposite outputs from equal heads; trunk and heads stand still, only rotations move."""
    module = multihead(rotation=6)
    first, second = module.head.members
    second.load_state_dict(first.state_dict())
    flat = FlatModule(module, 2)
    learner = Learner(flat, Mean(2), StepOptions(learning_rate=1e-2))
    inputs = torch.randn(1, 8, 3).expand(2, 8, 3)
    targets = torch.tensor([10.0, -10.0])[:, None, None].expand(2, 8, 2)

    def loss(shared, own, data):
        inputs, target = data
        return (flat.apply_with(shared, own, torch.zeros(2), inputs) - target).square().mean(), {}

    def cosine():
        """Between the gradients in a shift of the shared features, by differentiating the heads alone."""

        def head_loss(shift, own, features, target):
            outputs = heads.apply_with(torch.zeros(0), own, features + shift)
            return (outputs - target).square().mean()

        slopes = vmap(grad(head_loss), in_dims=(None, 0, 0, 0))(torch.zeros(6), flat.own, features, targets)
        return (unit(slopes[0]) @ unit(slopes[1])).item()

    trunk = multihead(rotation=6)
    heads = FlatModule(trunk.head, 2)
    assert heads.own.shape == flat.own.shape
    features = trunk.trunk(inputs).detach()  # the same seed, so the same trunk
    fixed = flat.shared.detach().clone(), flat.own.detach()[:, skew_of(flat).shape[1] :].clone()
    found = [cosine()]
    for _ in range(60):
        with torch.no_grad():
            learner.step(learner.aggregate(learner.gradients(loss, (inputs, targets))))
            flat.shared.copy_(fixed[0])
            flat.own[:, skew_of(flat).shape[1] :] = fixed[1]
        found.append(cosine())
    assert found[0] < -0.9
    assert found[-1] > 0.9
    assert all(later > earlier - 0.02 for earlier, later in pairwise(found))


def test_a_single_task_has_nothing_to_align(spec):
    """Its gradient is the mean; a rotation that learnt from the loss would still move."""
    alone = spec._replace(task_names=("a",))
    agent = build("multihead", alone, network={"rotation": 6})
    nn.init.normal_(agent.actor.network.own)
    found = agent.actor_gradients(agent.task_batch(random_batch(alone, 8)))
    directions = agent.actor.aggregate(found).own
    assert skew_of(agent.actor.network).shape == (1, 15)
    assert directions[:, :15].abs().max() < 1e-6
    assert directions[:, 15:].abs().max() > 1e-3


def test_without_a_step_of_the_rotations_it_is_the_plain_multihead(spec):
    """All rotations start as the identity, so the first directions of everything else agree."""
    rotated, plain = build("multihead", spec, network={"rotation": 6}), build("multihead", spec)
    width = skew_of(rotated.actor.network).shape[1]
    batch = random_batch(spec, 8)
    found, expected = (
        agent.actor.aggregate(agent.actor_gradients(agent.task_batch(batch))) for agent in (rotated, plain)
    )
    torch.testing.assert_close(found.shared, expected.shared)
    torch.testing.assert_close(found.own[:, width:], expected.own)
    assert (found.own[:, :width] != 0).any(1).all()


def test_rotations_stay_out_of_the_aggregator(spec):
    """Whatever part of the own parameters enters it, their direction is that of the alignment."""
    directions = []
    for scope in ("shared", "all"):
        agent = build("multihead", spec, "cagrad", aggregate=scope, network={"rotation": 6})
        found = agent.actor_gradients(agent.task_batch(random_batch(spec, 8)))
        width = skew_of(agent.actor.network).shape[1]
        assert not found.own[:, :width].any()
        directions.append(agent.actor.aggregate(found).own)
    assert torch.equal(directions[0][:, :width], directions[1][:, :width])
    assert not torch.allclose(directions[0][:, width:], directions[1][:, width:])


def test_a_task_without_a_finite_gradient_turns_nobody(spec):
    agent = build("multihead", spec, network={"rotation": 6})
    batch = random_batch(spec, 8)
    batch.obs[1] = torch.inf
    agent.update(batch, diagnose=False)
    skew = skew_of(agent.actor.network)
    assert skew.isfinite().all()
    assert not skew[1].any()
    assert skew[[0, 2]].any(1).all()


def test_rotated_agents_need_no_host(spec):
    agent = build("multihead", spec, "cagrad_fast", device="meta", network={"rotation": 6})
    metrics = agent.update(random_batch(spec, 8, device="meta"), diagnose=True)
    assert {value.device.type for value in metrics.values()} == {"meta"}


def test_rotated_agents_compile_into_one_graph(spec):
    agent = build("multihead", spec, network={"rotation": 3})

    def direction(data):
        return agent.critic.aggregate(agent.critic_gradients(data)).own

    torch.compiler.reset()
    with torch.no_grad():
        data = agent.task_batch(random_batch(spec, 8))
        expected = direction(data)
        graph = torch.compile(direction, fullgraph=True, backend="eager")
        torch.testing.assert_close(graph(data), expected)


@pytest.mark.parametrize("size", [0, 1, 17, 2.5, True])
def test_a_wrong_number_of_features_is_named(spec, size):
    with pytest.raises(UsageError, match="rotation must be a number of features between 2 and"):
        build("multihead", spec, network={"rotation": size})
