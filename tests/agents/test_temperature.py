import pytest
import torch

from mtrl.agents.temperature import Temperature


def temperature(scope, target=0.0):
    return Temperature(
        3, torch.device("cpu"), initial=0.5, target_entropy=target, learning_rate=0.1, scope=scope
    )


def test_each_task_moves_towards_its_target_entropy():
    one = temperature("per_task")
    one.step(torch.tensor([1.0, -1.0, 0.0]))
    torch.testing.assert_close(
        one.log_alpha.detach() - torch.tensor(0.5).log(), torch.tensor([-0.1, 0.1, 0.0])
    )


@pytest.mark.parametrize(("entropy", "sign"), [([3.0, -1.0, -1.0], -1), ([-3.0, 1.0, 1.0], 1)])
def test_a_shared_temperature_follows_the_mean(entropy, sign):
    one = temperature("shared")
    one.step(torch.tensor(entropy))
    assert one.log_alpha.shape == (1,)
    torch.testing.assert_close(one.log_alpha.detach(), torch.tensor([0.5]).log() + 0.1 * sign)
