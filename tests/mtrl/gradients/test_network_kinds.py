"""Kinds of networks in training: both ways to their gradients agree with plain autograd, or say why not."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from mtrl.errors import UsageError
from mtrl.gradients.flat_module import FlatModule, PerTask
from mtrl.gradients.layerwise import layer_gradients, uses_of
from mtrl.gradients.per_task import per_task_gradients

INPUTS = torch.randn(3, 7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))  # [K, B, O]


class Network(nn.Module):
    """Computes ``forward_with`` from the layers that it holds and its inputs."""

    def __init__(self, forward_with, **layers):
        super().__init__()
        self.forward_with = forward_with
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, inputs):
        return self.forward_with(self, inputs)


def one_layer(forward_with, layer):
    return Network(forward_with, layer=layer)


def tied():
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    network[2].weight = network[0].weight
    return network


def frozen(part):
    network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    part(network).requires_grad_(False)
    return network


COMPUTED = {  # and the layers that are watched
    "linear": (lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 3)), ["0", "2"]),
    "convolution": (
        lambda: Network(
            lambda n, x: n.read(n.conv(x[:, None])), conv=nn.Conv1d(1, 2, 2), read=nn.Linear(3, 2)
        ),
        ["read"],
    ),
    "batch norm, eval": (lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval(), ["0"]),
    "layer norm": (lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), ["0"]),
    "attention": (
        lambda: one_layer(lambda n, x: n.layer(x[:, None]), nn.TransformerEncoderLayer(4, 2, 8, dropout=0)),
        ["layer.linear1", "layer.linear2"],
    ),
    "embedding": (
        lambda: one_layer(lambda n, x: n.layer((x[..., 0] > 0).long()), nn.Embedding(2, 4)),
        [],
    ),
    "tied": (tied, []),
    "one layer, two places": (lambda: nn.Sequential(*2 * [nn.Linear(4, 4)]), ["0", "0"]),
    "frozen layer": (lambda: frozen(lambda n: n[0]), ["2"]),
    "frozen bias": (lambda: frozen(lambda n: n[2].bias), ["0"]),
    "reads a weight": (
        lambda: one_layer(lambda n, x: n.layer(x) + n.layer.weight.sum(), nn.Linear(4, 3)),
        [],
    ),
    "multiplies by a weight": (
        lambda: one_layer(lambda n, x: F.linear(n.layer(x), n.layer.weight.T), nn.Linear(4, 3)),
        [],
    ),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), []),
    "idle layer": (
        lambda: Network(lambda n, x: n.used(x), used=nn.Linear(4, 3), idle=nn.Linear(4, 3)),
        ["used"],
    ),
}


@pytest.mark.parametrize("kind", COMPUTED)
def test_gradients_are_those_of_torch(kind):
    torch.manual_seed(0)
    make, watched = COMPUTED[kind]
    module = make().double()
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    expected = []
    for inputs in INPUTS:
        parts = torch.autograd.grad(
            module(inputs).square().mean(), learning, allow_unused=True, materialize_grads=True
        )
        expected.append(torch.cat([part.flatten() for part in parts]))
    network = FlatModule(module, 3)

    def task_loss(shared, own, inputs):
        return network.apply_with(shared, own, inputs).square().mean(), {}

    rows = per_task_gradients(task_loss, network.shared, network.own, INPUTS).shared
    torch.testing.assert_close(rows, torch.stack(expected))
    uses = uses_of(task_loss, network, INPUTS)
    assert [use.place for use in uses] == watched
    layers = layer_gradients(task_loss, network, INPUTS, uses).shared
    torch.testing.assert_close(layers.matrix(), torch.stack(expected))


def tied_to_the_trunk():
    trunk, head = nn.Linear(4, 4), PerTask(nn.Linear(4, 4) for _ in range(3))
    head.members[0].weight = trunk.weight
    return nn.Sequential(trunk, head)


class OneTaskOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, inputs):
        return inputs.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


REFUSED = {
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)),
        "must not keep running statistics, found BatchNorm1d '1'",
    ),
    "dropout": (lambda: nn.Sequential(nn.Dropout(0.2)), "must not draw, found Dropout '0' with rate 0.2"),
    "dropout inside": (lambda: nn.LSTM(4, 3, num_layers=2, dropout=0.1), "must not draw, found LSTM ''"),
    "mixed types": (
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4).bfloat16()),
        "one type, found torch.bfloat16, torch.float32",
    ),
    "sparse": (
        lambda: nn.Sequential(nn.Embedding(2, 4, sparse=True)),
        "found Embedding '0' with sparse=True",
    ),
    "frozen head": (
        lambda: PerTask(nn.Linear(4, 3).requires_grad_(False) for _ in range(3)),
        "'members.0.weight' is frozen",
    ),
    "head tied to the trunk": (tied_to_the_trunk, "'1.members.0.weight' is also '0.weight'"),
    "function that draws": (
        lambda: one_layer(lambda n, x: F.dropout(n.layer(x), 0.2), nn.Linear(4, 3)),
        "it draws numbers",
    ),
    "gru": (lambda: one_layer(lambda n, x: n.layer(x[:, None])[0], nn.GRU(4, 3)), "as recurrent layers do"),
    "branch": (
        lambda: one_layer(lambda n, x: n.layer(x) if x.sum() > 0 else x, nn.Linear(4, 3)),
        "it reads or branches on a number",
    ),
    "function of one task": (
        lambda: one_layer(lambda n, x: OneTaskOnly.apply(n.layer(x)), nn.Linear(4, 3)),
        "it holds a Function for one task",
    ),
    "checkpoint": (
        lambda: one_layer(lambda n, x: checkpoint(n.layer, x, use_reentrant=False), nn.Linear(4, 3)),
        "it holds a checkpoint",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_computed_for_all_tasks_at_once_is_refused(kind):
    make, words = REFUSED[kind]
    with pytest.raises(UsageError, match=f"^network: .*{words}"):
        network = FlatModule(make(), 3)
        per_task_gradients(
            lambda shared, own, inputs: (network.apply_with(shared, own, inputs).sum(), {}),
            network.shared,
            network.own,
            INPUTS.float(),
        )
