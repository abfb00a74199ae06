import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrl.aggregators import MoCo
from mtrl.aggregators.mgda import mgda_weights
from mtrl.aggregators.moco import project_to_simplex
from mtrl.errors import UsageError
from tests.mtrl.aggregators.families import draw


@settings(max_examples=40, deadline=None, derandomize=True)
@given(values=st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_the_projection_is_the_nearest_point(values):
    point = torch.tensor(values, dtype=torch.float64)
    found = project_to_simplex(point)
    # The threshold θ with Σ max(v − θ, 0) = 1, by bisection.
    low, high = min(values) - 1, max(values)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(max(v - middle, 0) for v in values) > 1 else (low, middle)
    expected = (point - low).clamp(min=0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_one_step_by_hand():
    gradients = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    aggregator = MoCo(2, beta=1.0, gamma=0.1, rho=0.5)
    direction = aggregator(gradients, torch.ones(2))
    # λ − 0.1 (diag(1, 4) + 0.5)(½, ½) = (0.425, 0.275), then + 0.15 each
    expected = torch.tensor([0.575, 0.425])
    torch.testing.assert_close(aggregator.simplex.float(), expected)
    torch.testing.assert_close(direction.vector, expected @ gradients)


def test_full_weight_on_the_newest_tracks_nothing():
    aggregator = MoCo(3, beta=1.0)
    for seed in range(3):
        gradients = draw("random", 3, seed).float()
        aggregator(gradients, torch.ones(3))
        assert torch.equal(aggregator.tracker.rows, gradients)


@pytest.mark.parametrize("family", ["random", "equiangular", "clusters"])
def test_constant_gradients_lead_to_mgda(family):
    gradients = draw(family, 5)
    gradients = gradients / gradients.norm(dim=1).max()
    aggregator = MoCo(5, gamma=0.5)
    for _ in range(1000):
        direction = aggregator(gradients, torch.ones(5))
        assert aggregator.simplex.sum() == pytest.approx(1)
    expected = mgda_weights(gradients @ gradients.T) @ gradients
    torch.testing.assert_close(direction.vector, expected, rtol=1e-3, atol=1e-4)


def test_softmax_pins_the_weights_near_uniform():
    gradients = draw("random", 5)
    gradients = gradients / gradients.norm(dim=1, keepdim=True)
    aggregator = MoCo(5, gamma=0.1, projection="softmax")
    for _ in range(50):
        metrics = aggregator(gradients, torch.ones(5)).metrics
    assert (aggregator.simplex - 0.2).abs().max() < 0.05
    assert metrics["lambda_entropy"] > 0.98 * torch.tensor(5.0).log()


def test_a_masked_task_keeps_its_place_on_the_simplex():
    aggregator = MoCo(3, gamma=0.1)
    gradients = torch.diag(torch.tensor([1.0, 2.0, 3.0]))
    aggregator(gradients, torch.ones(3))
    before = aggregator.simplex.clone()
    direction = aggregator(gradients, torch.tensor([1.0, torch.inf, 1.0]))
    assert aggregator.simplex[1] == before[1]
    assert direction.metrics["tracked_weight"].sum() == pytest.approx(1)
    assert direction.vector[1] == 0
    weights = aggregator(gradients, torch.ones(3)).metrics["tracked_weight"]
    assert weights.sum() == pytest.approx(1)
    assert weights[1] > 0


def test_schedules():
    aggregator = MoCo(2, beta=1.0, beta_decay=1.0, gamma=0.0)
    rows = [torch.full((2, 3), value) for value in (1.0, 5.0, 3.0)]
    for row in rows:
        aggregator(row, torch.ones(2))
    # β_k = 1/k is the running mean.
    torch.testing.assert_close(aggregator.tracker.rows, torch.full((2, 3), 3.0))


@pytest.mark.parametrize("normalize", ["norm", "loss"])
def test_normalised_rows(normalize):
    values = torch.tensor([2.0, 0.5])
    aggregator = MoCo(2, normalize=normalize)
    aggregator(torch.tensor([[3.0, 4.0], [0.0, 0.1]]), values)
    expected = torch.ones(2) if normalize == "norm" else values
    torch.testing.assert_close(aggregator.tracker.rows.norm(dim=1), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.0}, "MoCo: beta must be .* greater than 0"),
        ({"gamma": -1.0}, "gamma must be"),
        ({"radius": 0.0}, "radius must be"),
        ({"projection": "l2"}, "projection must be one of simplex, softmax; found 'l2'"),
        ({"normalize": "yes"}, "normalize must be one of none, norm, loss"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(UsageError, match=message):
        MoCo(3, **options)
