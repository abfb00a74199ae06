import torch

from mtrl.agents.rewards import RewardScale


def scale(**options):
    return RewardScale(2, torch.device("cpu"), **{"scale": 1.0, "normalize": False, **options})


def test_each_task_may_have_its_factor():
    reward = torch.randn(2, 5)
    assert torch.equal(scale(scale=3)(reward), 3 * reward)
    assert torch.equal(scale(scale=[2.0, 0.5])(reward), torch.tensor([[2.0], [0.5]]) * reward)


def test_normalized_rewards_have_mean_square_one_over_what_was_seen():
    one = scale(normalize=True)
    rewards = torch.randn(50, 2, 400) * torch.tensor([[10.0], [0.1]])
    for reward in rewards:
        scaled = one(reward)
    torch.testing.assert_close(one.mean_square, rewards.square().mean((0, 2)), rtol=1e-4, atol=0)
    torch.testing.assert_close(scaled, reward / one.mean_square.sqrt()[:, None], rtol=1e-5, atol=0)


def test_a_task_that_has_paid_nothing_keeps_its_zeros():
    assert torch.equal(scale(normalize=True)(torch.zeros(2, 3)), torch.zeros(2, 3))
