import torch

import mtrl
from mtrl.aggregators import MConFIG
from mtrl.aggregators.config import config_weights
from mtrl.types import Proposal
from tests.mtrl.aggregators.built_aggregators import losses, matrix


def test_followed_by_adam_it_takes_the_papers_steps():
    aggregator, point = MConFIG(3), torch.nn.Parameter(torch.zeros(6).double())
    adam = torch.optim.Adam([point], lr=0.1)
    momenta, counts = torch.zeros(3, 6).double(), torch.zeros(3).double()
    before, second, expected = torch.zeros(6).double(), torch.zeros(6).double(), torch.zeros(6).double()
    first = None
    for step in range(1, 12):
        rows = matrix(3, 6, step).double()
        torch.manual_seed(0)
        point.grad = aggregator(rows, losses(3)).vector
        adam.step()

        task = int((aggregator.turns == step).nonzero())
        first = [*(first or []), task][:3]
        assert task == first[(step - 1) % 3], "tasks take turns"
        counts[task] += 1
        momenta[task] = 0.9 * momenta[task] + 0.1 * rows[task]
        seen = counts > 0
        corrected = momenta[seen] / (1 - 0.9 ** counts[seen])[:, None]
        shares = torch.full((int(seen.sum()),), 1 / int(seen.sum())).double()
        direction = config_weights(corrected @ corrected.T, shares, shares) @ corrected
        momentum = direction * (1 - 0.9**step)
        pseudo, before = (momentum - 0.9 * before) / 0.1, momentum
        second = 0.999 * second + 0.001 * pseudo.square()
        expected = expected - 0.1 * direction / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
        torch.testing.assert_close(point.detach(), expected)


def test_what_it_proposes_gives_what_all_gradients_give():
    proposed, given = MConFIG(4, size=2), MConFIG(4, size=2)
    for step in range(6):
        rows, values = matrix(4, 6, step), losses(4, step)
        torch.manual_seed(step)
        proposal = proposed.propose(rows.device)
        found = proposed(proposal.mixing().float() @ rows, values, proposal).vector
        torch.manual_seed(step)
        torch.testing.assert_close(found, given(rows, values).vector)


def test_backward_computes_one_tasks_gradient():
    weight = torch.nn.Parameter(torch.ones(3))
    counted = []
    values = []
    for task in range(3):
        value = weight * (task + 1)
        value.register_hook(lambda gradient, task=task: counted.append((task, gradient.abs().sum() > 0)))
        values.append(value.sum())
    mtrl.backward(torch.stack(values), [weight], MConFIG(3))
    assert weight.grad is not None
    assert weight.grad.norm() > 0


def test_a_task_whose_proposed_gradient_is_not_finite_leaves_the_momenta():
    aggregator, rows = MConFIG(3), matrix(3, 6)
    order = torch.tensor([2, 0, 1])
    first = aggregator(rows[2:], losses(3), Proposal(order, 1, rest=False)).vector
    torch.testing.assert_close(first, rows[2])
    broken = aggregator(rows[:1] * torch.nan, losses(3), Proposal(order.roll(-1), 1, rest=False))
    assert broken.metrics["masked_tasks"] == 1
    assert broken.usable.tolist() == [False, True, True]
    assert broken.vector.isfinite().all()
    assert aggregator.counts.tolist() == [0, 0, 1]


def test_a_task_that_is_never_finite_does_not_stop_the_others():
    aggregator, point = MConFIG(3), torch.nn.Parameter(torch.zeros(3))
    for _ in range(12):
        mtrl.backward(point * torch.tensor([1.0, torch.nan, 1.0]), [point], aggregator)
    assert aggregator.counts.tolist() == [4, 0, 4]
