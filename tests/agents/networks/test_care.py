"""CARE against its formulas, written encoder by encoder."""

import numpy as np
import pytest
import torch

from mtrl.agents.descriptions import task_vectors
from mtrl.agents.networks import CARE, Layers, Sizes
from mtrl.errors import UsageError
from mtrl.gradients.flat_module import FlatModule

NAMES = ("reach-v3", "push-v3")
DEFAULT = {"hidden": [8, 8], "encoders": 3, "encoder": [7, 6], "context": [9, 5], "attention": [4]}


def network(names=NAMES, actions=2, **options):
    layers = Layers(torch.device("cpu"), torch.Generator().manual_seed(0))
    made = CARE(Sizes(names, 5 + actions, 3, actions), layers, **{**DEFAULT, **options})
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return made


def by_loops(net, task, obs, action):
    context = net.context(task_vectors(NAMES)[task])
    scores = net.attention(context).exp()
    first, relu, second = net.encoders
    encodings = [
        relu(obs @ first.weight[i] + first.bias[i]) @ second.weight[i] + second.bias[i] for i in range(3)
    ]
    mixed = sum(score / scores.sum() * encoding for score, encoding in zip(scores, encodings, strict=True))
    return net.trunk(torch.cat([mixed, context, action]))


@pytest.mark.parametrize("task", [0, 1])
def test_it_is_the_formulas_written_encoder_by_encoder(task):
    net, obs, action = network(), torch.randn(6, 5), torch.randn(6, 2)
    expected = [by_loops(net, task, *rows) for rows in zip(obs, action, strict=True)]
    torch.testing.assert_close(net(torch.eye(2)[task], obs, action), torch.stack(expected))


def test_the_attention_does_not_train_the_context():
    net = network()
    context = torch.randn(5, requires_grad=True)
    attention = net.attend(context)
    torch.testing.assert_close(attention.sum(), torch.tensor(1.0))
    attention[0].backward()
    assert context.grad is None
    assert all(parameter.grad is not None for parameter in net.attention.parameters())


def test_descriptions_are_not_trained():
    net = network()
    assert FlatModule(net, 2).num_parameters() == sum(value.numel() for value in net.parameters())
    assert net.described.shape == (2, 256)


def test_an_unknown_task_is_named_before_anything_is_made(monkeypatch):
    made = []
    monkeypatch.setattr(Layers, "linear", lambda *_, **__: made.append(1))
    with pytest.raises(UsageError, match=r"push-v4.*sentences\.json"):
        network(("reach-v3", "push-v4"))
    assert not made


def test_vectors_of_ones_own_take_the_place_of_the_shipped(tmp_path):
    file = tmp_path / "mine.npz"
    np.savez(file, mine=np.array([3.0, 4.0]), yours=np.array([0.0, 1.0]))
    net = network(("mine", "yours"), descriptions=str(file))
    torch.testing.assert_close(net.described, torch.tensor([[0.6, 0.8], [0.0, 1.0]]) * 2**0.5)


@pytest.mark.parametrize("option", [{"encoders": 0}, {"encoder": []}, {"context": [0]}, {"attention": []}])
def test_sizes_that_cannot_be_are_named(option):
    with pytest.raises(UsageError, match=f"{next(iter(option))} must"):
        network(**option)
