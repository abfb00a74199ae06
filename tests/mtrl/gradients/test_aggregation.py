import pytest
import torch

from mtrl.aggregators import MGDA, CAGrad, Mean, TaskSubset
from mtrl.gradients.aggregation import aggregate_gradients, conflict_statistics, proposed_rows
from mtrl.gradients.per_task import per_task_gradients


def test_statistics_of_a_known_conflict():
    gradients = torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0]])
    stats = conflict_statistics(gradients, gradients.mean(0))
    assert stats["conflict_fraction"].item() == 1 / 3
    assert stats["cosine_min"].item() == -1
    assert abs(stats["cosine_mean"].item() + 1 / 3) < 1e-12
    assert stats["gradient_norm"].tolist() == [1, 2, 3]
    assert stats["cosine"].tolist() == [[1, -1, 0], [-1, 1, 0], [0, 0, 1]]
    torch.testing.assert_close(stats["worst_improvement"], torch.tensor(-1 / 3))
    torch.testing.assert_close(stats["direction_norm"], torch.tensor([-1 / 3, 1.0]).norm())


def test_a_single_task_has_no_conflict():
    stats = conflict_statistics(torch.ones(1, 4), torch.ones(4))
    assert stats["conflict_fraction"].item() == stats["cosine_min"].item() == 0


def test_a_zero_gradient_has_cosine_zero():
    gradients = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert conflict_statistics(gradients, gradients[0])["cosine_min"].item() == 0


def distance(shared, own, centre):
    return (shared - centre).square().sum() + (own * centre[:2]).sum(), {"first": shared[0]}


def aggregated(aggregator, centres, scope="shared", own_size=2):
    shared, own = torch.zeros(3), torch.ones(len(centres), own_size)
    rows = proposed_rows(aggregator, shared)
    return aggregate_gradients(per_task_gradients(distance, shared, own, centres, rows), aggregator, scope)


def test_an_aggregator_that_proposes_rows_gets_only_those_and_statistics_stay_per_task():
    centres = torch.randn(5, 3)
    full = aggregated(Mean(5), centres)
    assert set(full.statistics("actor", diagnose=True)) >= {
        "actor/gradient_norm",
        "actor/weight",
        "actor/loss",
    }
    subset = aggregated(TaskSubset(CAGrad(5), size=2), centres)
    assert full.gradients.shape == (5, 3)
    assert subset.gradients.shape == (3, 3)
    torch.testing.assert_close(subset.losses, full.losses)
    stats = subset.statistics("actor", diagnose=True)
    assert "actor/gradient_norm" not in stats
    assert stats["actor/weight"].shape == (5,)


@pytest.mark.parametrize("method", [MGDA(4), TaskSubset(CAGrad(4), size=2)])
def test_own_parameters_follow_their_gradient_and_stay_out_of_the_aggregator(method):
    centres = torch.randn(4, 3)
    torch.manual_seed(0)
    found = aggregated(method, centres)
    torch.manual_seed(0)
    rows = proposed_rows(method, torch.zeros(3))
    shared = -2 * centres if rows is None else rows.mixing().float() @ (-2 * centres)
    torch.testing.assert_close(found.own, centres[:, :2])
    torch.testing.assert_close(found.shared, method(shared, found.losses, rows).vector)


def test_taken_in_own_parameters_are_coordinates_in_which_the_others_have_no_gradient():
    centres = torch.randn(4, 3)
    found = aggregated(MGDA(4), centres, "all")
    blocks = torch.block_diag(*centres[:, None, :2])  # [K, K Q]
    joint = torch.cat([-2 * centres, blocks], dim=1)
    torch.testing.assert_close(found.gradients, joint)
    expected = MGDA(4)(joint, torch.ones(4)).vector
    torch.testing.assert_close(found.shared, expected[:3])
    torch.testing.assert_close(found.own, expected[3:].view(4, 2))


def test_taken_in_own_parameters_of_a_subset_have_the_mean_scale():
    centres = torch.randn(4, 3)
    # c = 0 is the mean, whichever rows were proposed.
    found = aggregated(TaskSubset(CAGrad(4, c=0.0), size=2), centres, "all")
    torch.testing.assert_close(found.own, centres[:, :2] / 4)


@pytest.mark.parametrize("scope", ["shared", "all"])
def test_a_task_without_finite_gradients_stands_still(scope):
    centres = torch.randn(4, 3)
    centres[1] = torch.inf
    found = aggregated(Mean(4), centres, scope)
    assert found.shared.isfinite().all()
    assert found.own[1].eq(0).all()
    assert found.own[[0, 2, 3]].ne(0).all()
