import pytest
import torch
from torch import nn

import mtrl
from mtrl.aggregators import CAGrad, GramAggregator, Mean, TaskSubset
from mtrl.errors import UsageError

nan = float("nan")


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


def outputs():
    torch.manual_seed(0)
    trunk, heads = nn.Linear(4, 8), nn.ModuleList(nn.Linear(8, 1) for _ in range(3))
    features = trunk(torch.randn(16, 4)).tanh()
    errors = [head(features).squeeze(-1) - torch.randn(16) for head in heads]
    return trunk, heads, errors


def means(errors):
    return torch.stack([error.square().mean() for error in errors])


ONE_LOST = torch.tensor([1.0, nan, 1.0])
LABELS = torch.ones(3, 16)
LABELS[1] = 0  # nothing is known of task 1
BROKEN = {
    "targets": lambda e: means([e[0], torch.cat([e[1][1:], e[1][:1] * nan]), e[2]]),
    "infinite targets": lambda e: means([e[0], e[1] - torch.inf, e[2]]),
    "factor": lambda e: means(e) * ONE_LOST,
    "one tensor": lambda e: (torch.stack(e) + ONE_LOST[:, None] - 1).square().mean(1),
    "one tensor, samples first": lambda e: (torch.stack(e, 1) + ONE_LOST - 1).pow(2).mean(0),
    "no labels": lambda e: torch.stack(
        [(x.square() * n).sum() / n.sum() for x, n in zip(e, LABELS, strict=True)]
    ),
    "no labels, one tensor": lambda e: (torch.stack(e).square() * LABELS).sum(1) / LABELS.sum(1),
    "infinite slope": lambda e: torch.stack([means(e)[0], (0 * e[1].sum()).sqrt(), means(e)[2]]),
    "concatenated": lambda e: torch.cat([x[None] for x in means([e[0], e[1] * nan, e[2]])]),
    "put in place": lambda e: means(e).index_put((torch.tensor([1]),), means([e[1] * nan])),
    "softmax": lambda e: torch.stack(
        [means(e)[0], nn.functional.cross_entropy(e[1] * torch.inf, torch.tensor(3)), means(e)[2]]
    ),
}


@pytest.mark.parametrize("batched", [None, False], ids=["batched", "loop"])
@pytest.mark.parametrize("kind", BROKEN)
def test_a_task_that_is_not_finite_spoils_no_other(kind, batched):
    trunk, heads, errors = outputs()
    (means(errors)[0] + means(errors)[2]).backward()
    expected = [parameter.grad for parameter in trunk.parameters()]
    head = heads[2].weight.grad
    trunk, heads, errors = outputs()
    direction = mtrl.backward(
        BROKEN[kind](errors), trunk.parameters(), Mean(3), task_parameters=heads.parameters(), batched=batched
    )
    assert direction.usable.tolist() == [True, False, True]
    for parameter, right in zip(trunk.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, right / 2)
    assert not heads[1].weight.grad.any()
    assert not heads[1].bias.grad.any()
    torch.testing.assert_close(heads[2].weight.grad, head)


def test_without_a_usable_task_gradients_show_it_as_in_torch():
    trunk, heads, errors = outputs()
    mtrl.backward(means(errors) * nan, trunk.parameters(), Mean(3), task_parameters=heads.parameters())
    assert trunk.weight.grad.isnan().all()
    assert heads[0].weight.grad.isnan().all()


def test_a_parameter_counts_once_and_a_frozen_one_not_at_all():
    trunk, heads, errors = outputs()
    heads[0].bias.requires_grad_(False)
    trunk.bias.requires_grad_(False)
    everything = [*trunk.parameters(), *heads.parameters(), trunk.weight]
    own = [*heads.parameters(), heads[0].weight]
    direction = mtrl.backward(means(errors), everything, Mean(3), task_parameters=own)
    assert direction.vector.shape == (32,)
    assert trunk.bias.grad is None
    assert heads[0].bias.grad is None
    same_trunk, same_heads, errors = outputs()
    means(errors).sum().backward()
    torch.testing.assert_close(trunk.weight.grad, same_trunk.weight.grad / 3)
    torch.testing.assert_close(heads[0].weight.grad, same_heads[0].weight.grad)


class ReadsLosses(GramAggregator):
    """Keeps the losses that it was shown."""

    def weights(self, gram, losses, shares):
        self.seen = losses
        return shares


def scaled_step(to_losses, scaler, aggregator):
    trunk, heads, errors = outputs()
    optimizer = torch.optim.SGD([*trunk.parameters(), *heads.parameters()], lr=0.1)
    direction = mtrl.backward(
        scaler.scale(to_losses(errors)), trunk.parameters(), aggregator, task_parameters=heads.parameters()
    )
    before = trunk.weight.clone()
    scaler.step(optimizer)
    scaler.update()
    return direction, before - trunk.weight


@pytest.mark.parametrize(
    "to_losses",
    [
        lambda errors: means(errors).half(),
        lambda errors: means([errors[0], errors[1].half(), errors[2]]),
    ],
    ids=["all", "one"],
)
def test_a_gradient_scaler_sees_an_overflow(to_losses):
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)
    _, moved = scaled_step(to_losses, scaler, Mean(3))
    assert scaler.get_scale() == 2.0**23
    assert not moved.any()


def test_a_gradient_scaler_changes_no_step():
    scaler, aggregator = torch.amp.GradScaler("cpu", init_scale=2.0**10), ReadsLosses(3)
    direction, moved = scaled_step(means, scaler, aggregator)
    torch.testing.assert_close(aggregator.seen, means(outputs()[2]))
    torch.testing.assert_close(moved.flatten(), 0.1 * direction.vector[:32])
    plain, same = scaled_step(means, torch.amp.GradScaler("cpu", enabled=False), ReadsLosses(3))
    torch.testing.assert_close(direction.vector, plain.vector)
    torch.testing.assert_close(moved, same)


def test_a_gradient_scaler_is_not_disturbed_by_a_task_without_a_number():
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    _, moved = scaled_step(lambda errors: means(errors) * ONE_LOST, scaler, Mean(3))
    assert scaler.get_scale() == 2.0**10
    assert moved.any()


def test_hooks_see_the_aggregated_gradient_once():
    trunk, _, errors = outputs()
    calls = []
    trunk.weight.register_hook(lambda gradient: calls.append("before") or 2 * gradient)
    trunk.weight.register_post_accumulate_grad_hook(lambda parameter: calls.append("after"))
    direction = mtrl.backward(means(errors), trunk.parameters(), Mean(3))
    assert calls == ["before", "after"]
    torch.testing.assert_close(trunk.weight.grad.flatten(), 2 * direction.vector[:32])


def test_the_graph_is_kept_on_request():
    trunk, heads, errors = outputs()
    losses = means(errors)
    mtrl.backward(losses, trunk.parameters(), Mean(3), task_parameters=heads.parameters(), retain_graph=True)
    once = heads[0].weight.grad.clone()
    mtrl.backward(losses, trunk.parameters(), Mean(3), task_parameters=heads.parameters())
    torch.testing.assert_close(heads[0].weight.grad, 2 * once)
    with pytest.raises(RuntimeError, match="second time"):
        mtrl.backward(losses, trunk.parameters(), Mean(3))


class Fails(GramAggregator):
    def weights(self, gram, losses, shares):
        raise ArithmeticError


class NoNumbers(GramAggregator):
    def weights(self, gram, losses, shares):
        return shares * nan


def test_a_direction_that_is_not_finite_is_named_with_its_class():
    trunk, _, errors = outputs()
    with pytest.raises(UsageError, match=r"^NoNumbers: the direction is not finite, though"):
        mtrl.backward(means(errors), trunk.parameters(), NoNumbers(3))
    assert trunk.weight.grad is None


def test_an_error_leaves_nothing_half_written():
    trunk, heads, errors = outputs()
    with pytest.raises(ArithmeticError):
        mtrl.backward(means(errors), trunk.parameters(), Fails(3), task_parameters=heads.parameters())
    trunk, heads, errors = outputs()
    with pytest.raises(UsageError, match="task_parameters must be parameters"):
        mtrl.backward(means(errors), trunk.parameters(), Mean(3), task_parameters=[heads[0].weight * 1])
    assert all(parameter.grad is None for parameter in (*trunk.parameters(), *heads.parameters()))


def test_a_direction_does_not_change_with_the_gradients():
    trunk, _, errors = outputs()
    direction = mtrl.backward(means(errors), trunk.parameters(), Mean(3))
    kept = direction.vector.clone()
    trunk.weight.grad.zero_()
    assert torch.equal(direction.vector, kept)


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
    with pytest.raises(UsageError, match=r"found that they use none"):
        mtrl.backward(losses, nn.Linear(2, 2).parameters(), Mean(3))
    with pytest.raises(UsageError, match="parameters must not be empty"):
        mtrl.backward(losses, nn.Linear(2, 2).requires_grad_(False).parameters(), Mean(3))
    with pytest.raises(UsageError, match=r"parameters must be parameters, .* found tuple"):
        mtrl.backward(losses, trunk.named_parameters(), Mean(3))
    with pytest.raises(UsageError, match="parameters must be several tensors, found one"):
        mtrl.backward(losses, trunk.weight, Mean(3))


def test_an_unknown_attribute_of_the_package():
    with pytest.raises(AttributeError, match="no attribute 'forward'"):
        _ = mtrl.forward


def test_the_layout_has_both_numbers_of_a_complex_one():
    aggregator = Mean(2)
    parameters = [nn.Parameter(torch.ones(3, dtype=torch.complex64)), nn.Parameter(torch.ones(2))]
    loss = parameters[0].abs().sum() + parameters[1].sum()
    direction = mtrl.backward(torch.stack([loss, 2 * loss]), parameters, aggregator)
    assert list(aggregator.layout.columns().values())[-1] == slice(6, len(direction.vector))


@pytest.mark.parametrize("function", [nn.functional.mish, torch.sinh, torch.cosh, torch.atan, torch.exp2])
def test_one_tensor_of_outputs_may_have_a_target_that_is_not_finite(function):
    weight = nn.Parameter(torch.ones(3, 2))
    target = torch.zeros(4, 3)
    target[2, 1] = torch.nan
    losses = function(torch.ones(4, 2) @ weight.T - target).mean(0)
    assert mtrl.backward(losses, [weight], Mean(3)).usable.tolist() == [True, False, True]
