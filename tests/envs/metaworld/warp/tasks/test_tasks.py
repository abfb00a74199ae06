"""Observations, rewards and success of the 50 tasks on tensors, against the library's in the same states."""

from dataclasses import fields, replace

import pytest
import torch
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from tests.envs.metaworld.warp.tasks.recording import record, record_placed

NAMES = list(ALL_V3_ENVIRONMENTS)
EPISODES = ((300, 0.0), (300, 0.05), (300, 0.1), (300, 0.2), (250, 0.3), (250, 0.5), (200, 0.0), (150, 1.0))
pytestmark = pytest.mark.filterwarnings("ignore:Constant")


def difference(found, expected):
    """The largest one, absolute or relative, whichever is smaller."""
    return ((found - expected).abs() / expected.abs().clamp(min=1)).max().item()


def differences(recording):
    """Those of observations and of rewards; where success differs, this fails."""
    observation, reward, success = recording.computed()
    assert observation.dtype == reward.dtype == torch.float32
    assert observation.shape == recording.observation.shape
    assert reward.shape == success.shape == recording.reward.shape
    torch.testing.assert_close(success, recording.success)
    return difference(observation, recording.observation), difference(reward, recording.reward)


def on_meta(recording):
    """The same on a device that has no numbers, so that whatever asks for one fails."""

    def moved(tensor):
        return None if tensor is None else tensor.to("meta")

    state = {field.name: moved(getattr(recording.state, field.name)) for field in fields(recording.state)}
    return replace(
        recording,
        state=replace(recording.state, **state),
        episode={name: moved(tensor) for name, tensor in recording.episode.items()},
        action=moved(recording.action),
        previous=moved(recording.previous),
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_a_task_shows_and_pays_is_the_librarys_and_needs_no_host(name):
    recording = record_placed(name, 60)
    assert max(differences(recording)) < 1e-4
    assert all(tensor.is_meta for tensor in on_meta(recording).computed())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_a_task_shows_and_pays_is_the_librarys_in_two_thousand_states(name):
    recording = record(name, EPISODES, seed=1)
    observation, reward = differences(recording)
    solved = int(recording.success.sum())
    print(
        f"{name:<28} {len(recording.reward)} states, {solved} of them solved: "
        f"observation {observation:.0e}, reward {reward:.0e}"
    )
    assert len(recording.reward) >= 2000
    assert solved > 0
    assert max(observation, reward) < 1e-4
