import pytest
import torch

from mtrl.aggregators._linalg.closed_forms import max_min_of_two, min_over_segment


def circle(count):
    angles = torch.linspace(0, 2 * torch.pi, count, dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("seed", range(20))
def test_no_point_of_the_segment_is_better(seed):
    rows, linear = normal(2, 2, seed=seed), normal(2, seed=100 + seed)
    gram = rows @ rows.T
    grid = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    points = torch.stack([grid, 1 - grid], dim=1)
    values = 0.5 * ((points @ gram) * points).sum(1) + points @ linear
    w = min_over_segment(gram, linear)
    found = 0.5 * w @ gram @ w + linear @ w
    assert found <= values.min() + 1e-12
    assert found >= values.min() - 1e-6


def test_a_segment_without_curvature():
    equal = torch.ones(2, 2).double()
    assert min_over_segment(equal, torch.zeros(2).double()).tolist() == [0.5, 0.5]
    assert min_over_segment(equal, torch.tensor([1.0, 0.0]).double()).tolist() == [0, 1]


@pytest.mark.parametrize("spread", [0.1, 3.0])  # both rows decide, or one alone
@pytest.mark.parametrize("seed", range(20))
def test_no_point_of_the_ball_is_better(seed, spread):
    offsets, factor = spread * normal(2, seed=seed), normal(2, 2, seed=100 + seed)
    disc = (torch.linspace(0, 1, 101).double()[:, None, None] * circle(721)).reshape(-1, 2)
    best = (offsets + disc @ factor.T).amin(1).max()
    u, w = max_min_of_two(offsets, factor)
    found = (offsets + factor @ u).min()
    assert u.norm() <= 1 + 1e-12
    assert best - 1e-12 <= found <= best + 0.02
    # Strong duality certifies the multipliers.
    torch.testing.assert_close(w @ offsets + (w @ factor).norm(), found, rtol=1e-9, atol=1e-9)


def test_opposite_rows_take_the_centre():
    factor = torch.tensor([[1.0, 1.0], [-2.0, -2.0]]).double()
    u, w = max_min_of_two(torch.zeros(2).double(), factor)
    assert u.tolist() == [0, 0]
    torch.testing.assert_close(w @ factor, torch.zeros(2).double())


def test_rows_of_zeros_stay_finite():
    for factor in (torch.zeros(2, 2), torch.tensor([[0.0, 0.0], [1.0, 0.0]])):
        for offsets in ([0.0, 0.0], [2.0, 0.5]):
            u, w = max_min_of_two(torch.tensor(offsets).double(), factor.double())
            assert u.isfinite().all()
            assert w.isfinite().all()
