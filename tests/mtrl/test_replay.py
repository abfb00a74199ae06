import pytest
import torch

from mtrl.errors import UsageError
from mtrl.replay import Replay, require_memory
from mtrl.types import Transition
from tests.conftest import random_batch


def replay_of(spec, capacity, seed=0):
    return Replay(spec, capacity, torch.device("cpu"), torch.Generator().manual_seed(seed))


def numbered(spec, first, count):
    """Transitions whose reward is their number, offset by 1000 per task."""
    number = torch.arange(first, first + count).float().expand(spec.num_tasks, count)
    reward = number + 1000 * torch.arange(spec.num_tasks)[:, None]
    return random_batch(spec, count, seed=first)._replace(reward=reward)


def test_samples_are_stored_transitions_of_the_right_task(spec):
    replay = replay_of(spec, 8)
    stored = random_batch(spec, 8)
    replay.add(stored)
    batch = replay.sample(64)
    assert batch.terminated.dtype == torch.bool
    for task in range(spec.num_tasks):
        for sample in range(64):
            match = (stored.reward[task] == batch.reward[task, sample]).nonzero().item()
            for whole, part in zip(stored, batch, strict=True):
                assert torch.equal(whole[task, match], part[task, sample])


def test_tasks_draw_independently(spec):
    replay = replay_of(spec, 100)
    replay.add(numbered(spec, 0, 100))
    rewards = replay.sample(50).reward - 1000 * torch.arange(spec.num_tasks)[:, None]
    assert not torch.equal(rewards[0], rewards[1])


def test_the_oldest_are_overwritten_when_copies_straddle_the_end(spec):
    replay = replay_of(spec, 8)
    for first in range(0, 12, 3):
        replay.add(numbered(spec, first, 3))
    assert replay.size == 8
    seen = set(replay.sample(500).reward[0].tolist())
    assert seen == {float(number) for number in range(4, 12)}


def test_state_comes_back_in_a_fresh_replay(spec):
    replay = replay_of(spec, 8)
    for first in range(0, 12, 3):
        replay.add(numbered(spec, first, 3))
    other = replay_of(spec, 8)
    other.restore(4, replay.rows(4, 7))
    other.restore(7, replay.rows(7, 12))
    assert (other.added, other.size) == (12, 8)
    for memory in (replay, other):
        memory.add(numbered(spec, 12, 4))
    assert torch.equal(replay.sample(20).reward, other.sample(20).reward)


def test_misuse_is_refused(spec):
    with pytest.raises(UsageError, match="replay_capacity"):
        replay_of(spec, 0)
    with pytest.raises(UsageError, match="empty"):
        replay_of(spec, 4).sample(1)
    with pytest.raises(UsageError, match="copies"):
        replay_of(spec, 2).add(random_batch(spec, 3))
    full = replay_of(spec, 8)
    full.add(random_batch(spec, 8))
    with pytest.raises(UsageError, match="replay rows"):
        replay_of(spec, 4).restore(0, full.rows(0, 8))


def test_bytes_are_those_of_the_memory(spec):
    replay = replay_of(spec, 10)
    assert replay.num_bytes == 4 * spec.num_tasks * 10 * (2 * spec.obs_size + spec.action_size + 2)


def test_a_replay_larger_than_the_memory_is_refused(spec):
    require_memory(spec, 1000, torch.device("cpu"))
    with pytest.raises(UsageError, match="replay_capacity must fit into memory: 1000000000000 transitions"):
        require_memory(spec, 10**12, torch.device("cpu"))


def test_sampling_never_leaves_the_device(spec):
    replay = Replay(spec, 8, torch.device("meta"), None)
    replay.add(Transition(*random_batch(spec, 8, device="meta")))
    assert {field.device.type for field in replay.sample(4)} == {"meta"}
