import pytest
import torch

from mtrl.aggregators import MGDA, CAGrad, CorrelationReduced, GradDrop, GradientTracking, Mean, PCGrad
from mtrl.aggregators.correlation_reduced import corollary_1
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw

ONES = torch.ones(4)


def test_no_smoothing_is_the_inner_method():
    aggregator = CorrelationReduced(CAGrad(4, c=0.9), alpha=0.0)
    for seed in range(3):
        gradients = draw("random", 4, seed).float()
        expected = CAGrad(4, c=0.9)(gradients, ONES)
        found = aggregator(gradients, ONES)
        torch.testing.assert_close(found.vector, expected.vector)
        torch.testing.assert_close(found.weights, expected.weights)


@pytest.mark.parametrize("alpha", [0.9, "corollary1"])
def test_constant_weights_are_unchanged(alpha):
    aggregator = CorrelationReduced(Mean(4), alpha=alpha)
    for seed in range(3):
        gradients = draw("random", 4, seed).float()
        torch.testing.assert_close(aggregator(gradients, ONES).vector, gradients.mean(0))
    gradients[2] = torch.nan
    torch.testing.assert_close(aggregator(gradients, ONES).vector, gradients[[0, 1, 3]].mean(0))


def test_algorithm_1_with_a_constant():
    aggregator = CorrelationReduced(MGDA(4), alpha=0.75)
    smoothed = None
    for seed in range(4):
        gradients = draw("random", 4, seed).float()
        fresh = MGDA(4)(gradients, ONES).weights
        smoothed = fresh if smoothed is None else 0.75 * smoothed + 0.25 * fresh
        torch.testing.assert_close(aggregator(gradients, ONES).weights, smoothed)


def test_corollary_1_is_the_larger_of_the_two():
    for k in (1.0, 4.0, 100.0):
        for distance in (0.0, 1e-3, 0.5, 2.0):
            ratio = k**-0.5
            others = [ratio / (k * distance)] if distance > 0 else []
            found = corollary_1(torch.tensor(k), 0.5, torch.tensor(distance))
            assert found == pytest.approx(min([ratio, *others]), rel=1e-6)


def test_a_masked_task_keeps_its_weight():
    aggregator = CorrelationReduced(MGDA(4), alpha=0.5)
    gradients = draw("random", 4).float()
    aggregator(gradients, ONES)
    before = aggregator.smoothed.clone()
    gradients[2] = torch.nan
    aggregator(gradients, ONES)
    assert aggregator.smoothed[2] == before[2]
    assert not torch.equal(aggregator.smoothed[:2], before[:2])


def test_the_flaw_and_its_remedy():
    # Zhou et al., 2022, equation 4, at (0, 0.4): the *expected* direction of MGDA and PCGrad points away
    # from the Pareto set y = 0 although both full gradients lead there; slowly moving weights turn it around.
    def stochastic(rest):
        def pair(noise):
            near, far = (1.0, -2.0), (5.0, 2.0)
            shift, y = near if noise else far
            return (0.0, 0.4, shift, y)

        x, height, a, b = pair(rest[0])
        _, _, c, d = pair(rest[1])
        return torch.tensor([[2 * (x + a), 2 * (height + b)], [2 * (x - c), 2 * (height + d)]])

    cases = [stochastic((first, second)) for first in (True, False) for second in (True, False)]
    ones = torch.ones(2)
    for kind in (MGDA, PCGrad):
        plain = torch.stack([kind(2)(case, ones).vector for case in cases]).mean(0)
        assert plain[1] < 0, "descending it raises y"
        smoothed = CorrelationReduced(kind(2), alpha=0.999)
        for index in range(400):
            smoothed(cases[index % 4], ones)
        reduced = torch.stack([smoothed(case, ones).vector for case in cases]).mean(0)
        assert reduced[1] > 0


def test_what_cannot_be_smoothed_is_refused():
    for inner in (GradDrop(4), GradientTracking(MGDA(4))):
        name = type(inner).__name__
        with pytest.raises(
            UsageError, match=f"inner must have weights to smooth.*found {name}; tracking goes"
        ):
            CorrelationReduced(inner)


@pytest.mark.parametrize("alpha", [1.5, -0.1, float("nan"), "corollary2"])
def test_options_are_checked(alpha):
    with pytest.raises(UsageError, match=r"CorrelationReduced: alpha must be .*found"):
        CorrelationReduced(MGDA(4), alpha=alpha)
