"""Observations, rewards and success of the 50 tasks on tensors, against the library's in the same states."""

import pytest
import torch
from metaworld.env_dict import MT10_V3

from tests.envs.metaworld.warp.tasks.recording import record

NAMES = list(MT10_V3)
pytestmark = pytest.mark.filterwarnings("ignore:Constant")


def difference(found, expected):
    """The larger of the two that may be small: relative or absolute. [...]"""
    return (found - expected).abs() / expected.abs().clamp(min=1)


def assert_the_librarys(recording):
    observation, reward, success = recording.computed()
    assert observation.shape == recording.observation.shape == (len(success), 39)
    assert difference(observation, recording.observation).max() < 1e-4
    assert difference(reward, recording.reward).max() < 1e-4
    torch.testing.assert_close(success, recording.success)


@pytest.mark.parametrize("name", NAMES)
def test_an_experts_and_a_random_episode_are_the_librarys(name):
    assert_the_librarys(record(name, [(20, 0.0), (10, 1.0)]))
