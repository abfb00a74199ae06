import torch

from mtrl.aggregation import aggregate_gradients, conflict_statistics
from mtrl.aggregators import CAGrad, Mean, TaskSubset


def test_statistics_of_a_known_conflict():
    gradients = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0]])
    stats = conflict_statistics(gradients, gradients.mean(0))
    assert stats["conflict_fraction"].item() == 1 / 3
    assert stats["cosine_min"].item() == -1
    assert abs(stats["cosine_mean"].item() + 1 / 3) < 1e-12
    assert stats["gradient_norm"].tolist() == [1, 2, 3]
    torch.testing.assert_close(stats["worst_improvement"], torch.tensor(-1 / 3))
    torch.testing.assert_close(stats["direction_norm"], torch.tensor([-1 / 3, 1.0]).norm())


def test_a_single_task_has_no_conflict():
    stats = conflict_statistics(torch.ones(1, 4), torch.ones(4))
    assert stats["conflict_fraction"].item() == stats["cosine_min"].item() == 0


def test_a_zero_gradient_has_cosine_zero():
    gradients = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert conflict_statistics(gradients, gradients[0])["cosine_min"].item() == 0


def distance(vector, centre):
    return (vector - centre).square().sum(), {"first": vector[0]}


def test_an_aggregator_that_proposes_rows_gets_only_those_and_statistics_stay_per_task():
    centres = torch.randn(5, 3)
    full = aggregate_gradients(distance, torch.zeros(3), centres, Mean(5))
    assert set(full.statistics("actor", diagnose=True)) >= {
        "actor/gradient_norm",
        "actor/weight",
        "actor/loss",
    }
    subset = aggregate_gradients(distance, torch.zeros(3), centres, TaskSubset(CAGrad(5), size=2))
    assert full.gradients.shape == (5, 3)
    assert subset.gradients.shape == (3, 3)
    torch.testing.assert_close(subset.losses, full.losses)
    stats = subset.statistics("actor", diagnose=True)
    assert "actor/gradient_norm" not in stats
    assert stats["actor/weight"].shape == (5,)
