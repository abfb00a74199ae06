import torch

from mtrl.gradients.aggregation import conflict_metrics
from mtrl.types import Direction


def test_statistics_of_a_known_conflict():
    gradients = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0]])
    metrics = conflict_metrics(gradients, Direction(gradients.mean(0), None, {}))
    assert metrics["conflict_fraction"].item() == 1 / 3
    assert metrics["cosine_min"].item() == -1
    assert abs(metrics["cosine_mean"].item() + 1 / 3) < 1e-12
    assert metrics["gradient_norm"].tolist() == [1, 2, 3]
    assert metrics["cosine"].tolist() == [[1, -1, 0], [-1, 1, 0], [0, 0, 1]]
    torch.testing.assert_close(metrics["worst_improvement"], torch.tensor(-1 / 3))
    torch.testing.assert_close(metrics["direction_norm"], torch.tensor([-1 / 3, 1.0]).norm())


def test_a_single_task_has_no_conflict():
    metrics = conflict_metrics(torch.ones(1, 4), Direction(torch.ones(4), None, {}))
    assert metrics["conflict_fraction"].item() == metrics["cosine_min"].item() == 0


def test_a_zero_gradient_has_cosine_zero():
    gradients = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert conflict_metrics(gradients, Direction(gradients[0], None, {}))["cosine_min"].item() == 0
