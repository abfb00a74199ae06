import torch

from mtrl.aggregators import Mean


def test_the_mean_of_the_finite_gradients():
    gradients = torch.tensor([[1.0, 2.0], [torch.nan, 0.0], [3.0, -4.0]])
    direction = Mean(3)(gradients, torch.ones(3))
    torch.testing.assert_close(direction.vector, torch.tensor([2.0, -1.0]))
    torch.testing.assert_close(direction.weights, torch.tensor([0.5, 0.0, 0.5]))
