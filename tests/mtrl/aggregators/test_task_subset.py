import pytest
import torch

from mtrl.aggregators import CAGrad, CorrelationReduced, GradDrop, GradVac, Mean, PCGrad, TaskSubset
from mtrl.aggregators.cagrad import cagrad_weights
from mtrl.errors import UsageError
from mtrl.types import Proposal
from tests.mtrl.aggregators.families import draw

ONES = torch.ones(10)
CPU = torch.device("cpu")


def test_the_whole_set_is_the_inner_method():
    gradients = draw("random", 10).float()
    expected = CAGrad(10)(gradients, ONES)
    aggregator = TaskSubset(CAGrad(10), size=10)
    torch.testing.assert_close(aggregator(gradients, ONES).vector, expected.vector, rtol=1e-4, atol=1e-5)
    proposal = aggregator.propose(CPU)
    found = aggregator(gradients[proposal.order], ONES, proposal)
    torch.testing.assert_close(found.vector, expected.vector, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.weights, expected.weights, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 4, 9])
def test_subset_and_complement_add_up_to_all(size):
    torch.manual_seed(0)
    gradients = draw("random", 10)
    proposal = TaskSubset(CAGrad(10), size=size).propose(CPU)
    mixed = proposal.mixing() @ gradients
    assert mixed.shape[0] == size + 1
    torch.testing.assert_close(mixed[:size], gradients[proposal.order[:size]])
    torch.testing.assert_close(mixed[:size].sum(0) + (10 - size) * mixed[-1], gradients.sum(0))


def test_equation_4():
    torch.manual_seed(0)
    gradients, size, c = draw("random", 10), 4, 0.5
    aggregator = TaskSubset(CAGrad(10, c=c), size=size)
    proposal = aggregator.propose(CPU)
    mixed = proposal.mixing() @ gradients
    shares = torch.tensor([0.1] * 4 + [0.6]).double()
    expected = cagrad_weights(mixed @ mixed.T, c, shares) @ mixed
    torch.testing.assert_close(aggregator(mixed, ONES, proposal).vector, expected)
    mean = gradients.mean(0)
    assert (expected - mean).norm() <= c * mean.norm() * (1 + 1e-6), "the ball is around the mean of all"


def test_a_task_that_is_not_finite_masks_no_more_than_its_own_gradient():
    gradients, proposal = draw("random", 10).float(), Proposal(torch.arange(10), 4)
    losses = ONES.clone()
    losses[2] = torch.inf
    direction = TaskSubset(Mean(10), size=4)(
        (proposal.mixing() @ gradients.double()).float(), losses, proposal
    )
    assert direction.usable.tolist() == [True, True, False] + [True] * 7
    others = torch.arange(10) != 2
    torch.testing.assert_close(direction.vector, gradients[others].mean(0), rtol=1e-4, atol=1e-5)


def test_a_masked_task_takes_the_place_of_no_other():
    gradients = draw("random", 3).float()
    gradients[0] = torch.nan
    expected = CAGrad(2)(gradients[1:], torch.ones(2)).vector
    aggregator = TaskSubset(CAGrad(3), size=2)
    for _ in range(5):
        torch.testing.assert_close(
            aggregator(gradients, torch.ones(3)).vector, expected, rtol=1e-4, atol=1e-5
        )


def test_both_ways_of_calling_agree():
    gradients = draw("lognormal_norms", 10)
    aggregator = TaskSubset(CAGrad(10), size=3)
    torch.manual_seed(1)
    alone = aggregator(gradients, ONES)
    torch.manual_seed(1)
    proposal = aggregator.propose(CPU)
    asked = aggregator(proposal.mixing() @ gradients, ONES, proposal)
    torch.testing.assert_close(asked.vector, alone.vector)
    torch.testing.assert_close(asked.weights, alone.weights)
    torch.testing.assert_close(asked.weights @ gradients, asked.vector)


def test_every_task_gets_its_turn():
    torch.manual_seed(0)
    aggregator = TaskSubset(CAGrad(10), size=2)
    chosen = torch.stack([aggregator.propose(CPU).order[:2] for _ in range(500)])
    assert (chosen.flatten().bincount(minlength=10) - 100).abs().max() < 50
    assert (aggregator(draw("random", 10), ONES).weights != 0).all()


def test_with_mean_inside_it_is_the_mean():
    gradients = draw("random", 10).float()
    aggregator = TaskSubset(Mean(10), size=3)
    proposal = aggregator.propose(CPU)
    found = aggregator((proposal.mixing() @ gradients.double()).float(), ONES, proposal).vector
    torch.testing.assert_close(found, gradients.mean(0))


def test_a_broken_gradient_is_left_out_with_all_its_tasks():
    gradients = draw("random", 10).float()
    aggregator = TaskSubset(CAGrad(10), size=4)
    proposal = Proposal(torch.arange(10), 4)
    mixed = (proposal.mixing() @ gradients.double()).float()
    for place, tasks in ((1, 1), (4, 6)):
        broken = mixed.clone()
        broken[place] = torch.inf
        direction = aggregator(broken, ONES, proposal)
        assert direction.vector.isfinite().all()
        assert direction.metrics["masked_tasks"] == tasks
        assert (direction.weights == 0).sum() == tasks
        assert torch.equal(direction.usable, direction.weights != 0)


def test_composes_with_a_smoother_outside():
    aggregator = CorrelationReduced(TaskSubset(PCGrad(10), size=4), alpha=0.5)
    assert aggregator(draw("random", 10), ONES).vector.isfinite().all()


def test_what_cannot_be_wrapped_is_refused():
    for inner in (GradVac(10), GradDrop(10)):
        with pytest.raises(UsageError, match=r"inner must be a GramAggregator without state.*found Grad"):
            TaskSubset(inner, size=4)


@pytest.mark.parametrize("size", [0, 11, 2.5])
def test_the_size_is_checked(size):
    with pytest.raises(UsageError, match=r"TaskSubset: size must be"):
        TaskSubset(CAGrad(10), size=size)


def test_gradients_must_be_those_proposed():
    aggregator = TaskSubset(CAGrad(10), size=4)
    proposal = aggregator.propose(CPU)
    with pytest.raises(UsageError, match=r"as many as were proposed, 5, found \[10, 3\]; pass the same"):
        aggregator(torch.ones(10, 3), ONES, proposal)
