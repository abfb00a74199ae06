import pytest
import torch

from mtrl.aggregators import MGDA, CAGrad, GradientTracking, Mean, PCGrad
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw

ONES = torch.ones(3)


def test_moving_average_from_the_first_gradient():
    aggregator = GradientTracking(Mean(3), beta=0.25)
    first, second = draw("random", 3, 0).float(), draw("random", 3, 1).float()
    torch.testing.assert_close(aggregator(first, ONES).vector, first.mean(0))
    torch.testing.assert_close(aggregator(second, ONES).vector, (0.75 * first + 0.25 * second).mean(0))


def test_full_weight_on_the_newest_is_the_inner_method():
    aggregator = GradientTracking(CAGrad(3, c=0.9), beta=1.0)
    for seed in range(3):
        gradients = draw("random", 3, seed).float()
        torch.testing.assert_close(
            aggregator(gradients, ONES).vector, CAGrad(3, c=0.9)(gradients, ONES).vector
        )


def test_averages_remove_the_noise_that_misleads_the_inner_method():
    torch.manual_seed(0)
    gradients = torch.tensor([[1.0, 0.1], [-0.9, 0.1], [0.0, 0.3]])
    expected = MGDA(3)(gradients, ONES).vector
    aggregator = GradientTracking(MGDA(3), beta=1.0, beta_decay=1.0)
    for _ in range(400):
        noisy = gradients + torch.randn(3, 2)
        tracked = aggregator(noisy, ONES).vector
    assert (tracked - expected).norm() < 0.3 * (MGDA(3)(noisy, ONES).vector - expected).norm()


def test_the_average_of_a_masked_task_waits():
    aggregator = GradientTracking(Mean(3), beta=0.5)
    gradients = draw("random", 3).float()
    broken = gradients.clone()
    broken[1] = torch.nan
    aggregator(gradients, ONES)
    direction = aggregator(broken, ONES)
    torch.testing.assert_close(direction.vector, gradients[[0, 2]].mean(0))
    assert direction.metrics["masked_tasks"] == 1
    torch.testing.assert_close(aggregator(gradients, ONES).vector, gradients.mean(0))


def test_averages_of_half_precision_do_not_stand_still():
    aggregator = GradientTracking(Mean(1), beta=0.01)
    for value in (0.5, *[1.0] * 600):
        vector = aggregator(torch.full((1, 3), value, dtype=torch.bfloat16), torch.ones(1)).vector
    assert vector.dtype == torch.bfloat16
    assert (vector > 0.99).all()


def test_rows_are_clipped_to_the_radius():
    aggregator = GradientTracking(Mean(2), radius=1.0)
    aggregator(torch.tensor([[3.0, 4.0], [0.1, 0.0]]), torch.ones(2))
    torch.testing.assert_close(aggregator.tracker.rows, torch.tensor([[0.6, 0.8], [0.1, 0.0]]))


def test_other_parameters_are_refused():
    aggregator = GradientTracking(PCGrad(3))
    aggregator(torch.ones(3, 4), ONES)
    with pytest.raises(UsageError, match=r"must keep the shape \[3, 4\].*found \[3, 5\]; use one aggregator"):
        aggregator(torch.ones(3, 5), ONES)


def test_buffers_change_in_place():
    aggregator = GradientTracking(PCGrad(3))
    aggregator(torch.ones(3, 4), ONES)
    before = {name: value.data_ptr() for name, value in aggregator.state_dict().items()}
    aggregator(torch.zeros(3, 4), ONES)
    assert {name: value.data_ptr() for name, value in aggregator.state_dict().items()} == before


def test_options_are_checked():
    with pytest.raises(UsageError, match=r"GradientTracking: beta must be .* found 0"):
        GradientTracking(Mean(3), beta=0)


def test_a_decaying_weight_may_start_above_one():
    # MoCo's 5/√k: the first 25 steps average nothing.
    aggregator = GradientTracking(Mean(1), beta=5.0, beta_decay=0.5)
    for step in range(1, 31):
        newest = torch.full((1, 2), float(step))
        vector = aggregator(newest, torch.ones(1)).vector
        assert torch.equal(vector, newest[0]) == (step <= 25)
    with pytest.raises(UsageError, match=r"beta must be .* at most 1; found 5.0"):
        GradientTracking(Mean(1), beta=5.0)
