import pytest
import torch

from mtrl.training.exploring import LONGEST, Exploration

K, n, A = 2, 500, 3


class Still:
    """A policy that always does the same."""

    def act(self, obs, deterministic):
        return torch.full((*obs.shape[:2], A), 2.0)  # out of the random actions' range


def exploration(rate, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Exploration(Still(), rate, (K, n, A), generator, torch.device("cpu"))


def actions(explorer, steps):
    obs = torch.zeros(K, n, 1)
    return torch.stack([explorer.act(obs, deterministic=False) for _ in range(steps)])  # [T, K, n, A]


def test_without_a_rate_and_where_it_is_deterministic_the_policy_acts_alone():
    assert (actions(exploration(0.0), 5) == 2).all()
    assert (exploration(1.0).act(torch.zeros(K, n, 1), deterministic=True) == 2).all()


def test_random_actions_last_as_long_as_the_distribution_says():
    # At rate 1 one begins as soon as the one before has ended, so that every change is a beginning.
    taken = actions(exploration(1.0), 400)
    assert (taken.abs() <= 1).all()
    begins = (taken[1:] != taken[:-1]).any(-1)  # [T - 1, K, n]
    lengths = []
    for column in begins.flatten(1).T:
        places = column.nonzero().flatten()
        lengths.append(places.diff())
    lengths = torch.cat(lengths).double()
    assert lengths.max() == LONGEST
    for k, tolerance in ((2, 0.03), (4, 0.04), (10, 0.06), (LONGEST, 0.15)):
        # Long ones are a little rarer among those that end within 400 steps.
        assert (lengths >= k).double().mean() == pytest.approx(1 / k, rel=tolerance)


def test_they_begin_at_the_rate_where_none_is_held():
    taken = actions(exploration(0.05), 300)
    free = (taken[:-1] == 2).all(-1)
    begun = free & (taken[1:] != 2).all(-1)
    assert float(begun.sum() / free.sum()) == pytest.approx(0.05, rel=0.05)


def test_environments_explore_on_their_own():
    taken = actions(exploration(1.0), 1)[0]
    assert len(taken.reshape(-1, A).unique(dim=0)) == K * n


def test_state_goes_on_with_what_was_held():
    first, second = exploration(0.2), exploration(0.2, seed=1)
    actions(first, 30)
    second.load_state_dict({name: tensor.clone() for name, tensor in first.state_dict().items()})
    second._generator.set_state(first._generator.get_state())
    assert torch.equal(actions(first, 30), actions(second, 30))
