import pytest
import torch
from torch import nn

import mtrl
from mtrl.aggregators import CAGrad, Mean, TaskSubset
from mtrl.errors import UsageError


def two_tasks():
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 8), nn.ModuleList([nn.Linear(8, 1), nn.Linear(8, 1), nn.Linear(8, 1)])
    inputs = torch.randn(16, 4)
    features = trunk(inputs).tanh()
    losses = torch.stack([(head(features) - i).square().mean() for i, head in enumerate(heads)])
    return trunk, heads, losses


def test_the_mean_is_torchs_own_backward():
    trunk, heads, losses = two_tasks()
    mtrl.backward(losses, trunk.parameters(), Mean(3), task_parameters=heads.parameters())
    found = [parameter.grad.clone() for parameter in (*trunk.parameters(), *heads.parameters())]
    trunk, heads, losses = two_tasks()
    losses.mean().backward()
    expected = [parameter.grad for parameter in trunk.parameters()]
    expected += [3 * parameter.grad for parameter in heads.parameters()]  # heads get the sum
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def test_the_aggregator_sees_each_tasks_gradient():
    trunk, _, losses = two_tasks()
    rows = [torch.autograd.grad(loss, list(trunk.parameters()), retain_graph=True) for loss in losses]
    gradients = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
    expected = CAGrad(3)(gradients, losses.detach()).vector
    direction = mtrl.backward(losses, trunk.parameters(), CAGrad(3))
    torch.testing.assert_close(direction.vector, expected, rtol=1e-4, atol=1e-5)
    flat = torch.cat([parameter.grad.flatten() for parameter in trunk.parameters()])
    assert torch.equal(flat, direction.vector)


def test_gradients_accumulate_as_in_torch():
    trunk, _, losses = two_tasks()
    mtrl.backward(losses, trunk.parameters(), Mean(3))
    once = trunk.weight.grad.clone()
    _, _, losses = trunk, None, torch.stack([trunk(torch.ones(1, 4)).sum() * k for k in range(3)])
    mtrl.backward(losses, trunk.parameters(), Mean(3))
    torch.testing.assert_close(trunk.weight.grad, once + 1.0)


def test_a_parameter_that_no_loss_uses_gets_zeros():
    trunk, _, losses = two_tasks()
    extra = nn.Parameter(torch.ones(2))
    mtrl.backward(losses, [*trunk.parameters(), extra], Mean(3))
    assert extra.grad.tolist() == [0.0, 0.0]


def test_only_the_proposed_gradients_are_computed(monkeypatch):
    trunk, _, losses = two_tasks()
    aggregator = TaskSubset(CAGrad(3), size=1)
    seen = []
    forward = aggregator.forward
    monkeypatch.setattr(
        aggregator, "forward", lambda g, *rest, **more: seen.append(g.shape) or forward(g, *rest, **more)
    )
    mtrl.backward(losses, trunk.parameters(), aggregator)
    assert seen == [(2, 40)]


def test_bad_inputs_are_explained():
    trunk, _, losses = two_tasks()
    with pytest.raises(UsageError, match=r"losses must have shape \[K\] with K = num_tasks = 2, found \[3\]"):
        mtrl.backward(losses, trunk.parameters(), Mean(2))
    with pytest.raises(UsageError, match="parameters must not be empty"):
        mtrl.backward(losses, [], Mean(3))
    with pytest.raises(UsageError, match="losses must depend on parameters"):
        mtrl.backward(losses.detach(), trunk.parameters(), Mean(3))
    with pytest.raises(UsageError, match=r"losses must be a tensor, found list; use torch.stack"):
        mtrl.backward(list(losses), trunk.parameters(), Mean(3))
    with pytest.raises(UsageError, match=r"aggregator must be .* found 'mean'"):
        mtrl.backward(losses, trunk.parameters(), "mean")


def test_an_unknown_attribute_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'forward'"):
        _ = mtrl.forward
