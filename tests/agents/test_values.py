import pytest
import torch

from mtrl.agents.values import CategoricalValue, ScalarValue
from mtrl.errors import UsageError


@pytest.fixture
def value():
    return CategoricalValue(low=-2.0, high=3.0, atoms=11)


def test_a_target_keeps_probability_and_mean(value):
    outputs = torch.randn(2, 6, 11)
    shift, scale = 0.3 * torch.randn(6), torch.full((6,), 0.2)  # stays inside the support
    target = value.target(outputs, shift, scale)
    torch.testing.assert_close(target.sum(-1), torch.ones(6))
    assert (target >= 0).all()
    mean = target @ torch.linspace(-2, 3, 11)
    torch.testing.assert_close(mean, shift + scale * value.value_for_actor(outputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("shift", "place"), [(-9.0, 0), (9.0, 10), (3.0, 10), (-2.0, 0), (0.5, 5)])
def test_a_certain_value_goes_to_its_atom_or_to_the_nearest_end(value, shift, place):
    target = value.target(torch.randn(2, 1, 11), torch.tensor([shift]), torch.zeros(1))
    torch.testing.assert_close(target[0], torch.eye(11)[place])


def test_a_value_between_two_atoms_is_split_by_its_distance(value):
    target = value.target(torch.randn(2, 1, 11), torch.tensor([0.6]), torch.zeros(1))  # atoms 0.5 and 1
    torch.testing.assert_close(target[0, 5:7], torch.tensor([0.8, 0.2]))


def test_the_error_is_smallest_at_the_target_itself(value):
    target = value.target(torch.randn(2, 6, 11), torch.randn(6), torch.full((6,), 0.9))
    logits = target.clamp(min=1e-12).log().expand(2, -1, -1).clone().requires_grad_()
    errors, values = value.errors(logits, target)
    errors.sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-5)
    assert (value.errors(torch.randn(2, 6, 11), target)[0] > errors).all()
    torch.testing.assert_close(values[0], target @ torch.linspace(-2, 3, 11))


def test_the_twins_are_averaged_where_a_scalar_takes_the_smaller(value):
    logits = torch.stack([torch.eye(11)[2], torch.eye(11)[8]])[:, None] * 100
    torch.testing.assert_close(value.value_for_actor(logits), torch.tensor([0.5]))
    assert ScalarValue().value_for_actor(torch.tensor([[[1.0]], [[3.0]]])).item() == 1


@pytest.mark.parametrize(
    "options", [{"low": 1.0, "high": 1.0, "atoms": 5}, {"low": 0.0, "high": 1.0, "atoms": 1}]
)
def test_impossible_supports_are_refused(options):
    with pytest.raises(UsageError, match="value"):
        CategoricalValue(**options)
