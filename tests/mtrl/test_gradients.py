import torch
from torch import nn

from mtrl.flat import FlatModule
from mtrl.gradients import per_task_gradients
from mtrl.types import Rows


def test_rows_equal_separate_backward_passes():
    torch.manual_seed(0)
    network = FlatModule(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
    inputs, labels = torch.randn(3, 6, 4), torch.randn(3, 6)

    def task_loss(vector, rows):
        x, y = rows
        error = network.apply_with(vector, x).squeeze(-1) - y
        return error.square().mean(), {"worst": error.abs().max()}

    gradients, losses, stats = per_task_gradients(task_loss, network.vector, (inputs, labels))

    assert gradients.shape == (3, network.vector.numel())
    for task in range(3):
        loss, own = task_loss(network.vector, (inputs[task], labels[task]))
        (expected,) = torch.autograd.grad(loss, network.vector)
        torch.testing.assert_close(gradients[task], expected, rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(losses[task], loss)
        torch.testing.assert_close(stats["worst"][task], own["worst"])


def test_a_task_gradient_depends_on_its_own_rows_only():
    network = FlatModule(nn.Linear(2, 1))
    x = torch.randn(2, 5, 2)

    def task_loss(vector, rows):
        return network.apply_with(vector, rows).square().mean(), {}

    before, _, _ = per_task_gradients(task_loss, network.vector, x)
    x[1] *= 3
    after, _, _ = per_task_gradients(task_loss, network.vector, x)
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


def test_proposed_rows_equal_mixed_gradients():
    torch.manual_seed(0)
    network = FlatModule(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
    data = torch.randn(5, 6, 4), torch.randn(5, 6)

    def task_loss(vector, rows):
        x, y = rows
        error = network.apply_with(vector, x).squeeze(-1) - y
        return error.square().mean(), {"worst": error.abs().max()}

    gradients, losses, stats = per_task_gradients(task_loss, network.vector, data)
    for singles in (1, 2, 4, 5):
        rows = Rows(torch.randperm(5), singles)
        found, found_losses, found_stats = per_task_gradients(task_loss, network.vector, data, rows)
        assert len(found) == min(singles + 1, 5)
        torch.testing.assert_close(found, rows.mixing().float() @ gradients, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found_losses, losses)
        torch.testing.assert_close(found_stats["worst"], stats["worst"])
