import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtrl.errors import UsageError
from mtrl.replay import Packet, Replay, require_memory
from mtrl.types import SuiteSpec, Transition
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
    other.restore(4, replay.packed(4, 7))
    other.restore(7, replay.packed(7, 12))
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
    with pytest.raises(UsageError, match="the replay's transitions"):
        replay_of(spec, 4).restore(0, full.packed(0, 8))


def test_bytes_are_those_of_the_memory(spec):
    replay = replay_of(spec, 10)
    before = replay.num_bytes
    row = spec.obs_size + spec.action_size + 3
    assert before == 4 * spec.num_tasks * (10 * row + 3 * spec.obs_size)
    for transition in stream(spec, steps=30, copies=1, seed=0, ending=0):
        replay.add(transition)
    assert replay.num_bytes == before, "an episode's observations are kept once"
    replay.add(random_batch(spec, 10))
    assert replay.num_bytes > before


def test_a_replay_larger_than_the_memory_is_refused(spec):
    require_memory(spec, 1000, torch.device("cpu"))
    with pytest.raises(UsageError, match="replay_capacity must fit into memory: 1000000000000 transitions"):
        require_memory(spec, 10**12, torch.device("cpu"))


def test_sampling_never_leaves_the_device(spec):
    replay = Replay(spec, 8, torch.device("meta"), None)
    replay.add(random_batch(spec, 8))
    assert {field.device.type for field in replay.sample(4)} == {"meta"}


def stream(spec, steps, copies, seed, ending=0.2):
    """What ``copies`` of an environment say, step by step, whose episodes end with probability ``ending``."""
    rng = torch.Generator().manual_seed(seed)
    shape = (spec.num_tasks, copies)
    obs = torch.randn(*shape, spec.obs_size, generator=rng)
    for step in range(steps):
        next_obs = torch.randn(*shape, spec.obs_size, generator=rng)
        broken = torch.rand(shape, generator=rng) < 0.1
        next_obs[broken] = torch.nan  # is stored as it is
        terminated = torch.rand(shape, generator=rng) < ending
        first = torch.randn(*shape, spec.obs_size, generator=rng)
        yield random_batch(spec, copies, seed=step)._replace(
            obs=obs, next_obs=next_obs, terminated=terminated
        )
        obs = torch.where(terminated[..., None], first, next_obs)


class Plain:
    """The newest transitions, in a list."""

    def __init__(self, capacity):
        self.capacity, self.transitions = capacity, []

    def add(self, transition):
        obs, action, reward, next_obs, terminated = transition
        packed = torch.cat([obs, action, reward[..., None], next_obs, terminated[..., None].float()], dim=-1)
        self.transitions = [*self.transitions, *packed.unbind(1)][-self.capacity :]


def same_bits(one, other):
    return torch.equal(one.contiguous().view(torch.int32), other.contiguous().view(torch.int32))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    copies=st.integers(1, 4),
    added=st.integers(1, 5),
    spare=st.integers(0, 12),
    steps=st.integers(1, 25),
    ending=st.sampled_from([0.0, 0.1, 1.0]),
    seed=st.integers(0, 9),
)
def test_what_is_kept_once_is_what_was_added(copies, added, spare, steps, ending, seed):
    """Whatever the copies' episodes, the ring's end, the number added at a time, and a resume between."""
    spec = SuiteSpec(("a", "b"), obs_size=3, action_size=2, horizon=10, num_goals=4)
    capacity = max(copies, added) + spare
    replay = Replay(spec, capacity, torch.device("cpu"), torch.Generator().manual_seed(0), copies)
    plain = Plain(capacity)
    for step, transition in enumerate(stream(spec, steps, added, seed, ending)):
        replay.add(transition)
        plain.add(transition)
        if step == steps // 2:
            oldest, middle = replay.added - replay.size, replay.added - replay.size // 2
            other = Replay(spec, capacity, torch.device("cpu"), torch.Generator().manual_seed(0), copies)
            other.restore(oldest, replay.packed(oldest, middle))
            other.restore(middle, replay.packed(middle, replay.added))
            replay = other
        held = replay.packed(replay.added - replay.size, replay.added)
        assert same_bits(held, torch.stack(plain.transitions, dim=1))
    drawn = replay.sample(50)
    uniform = torch.rand(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    index = (uniform * replay.size).long()
    ring = torch.empty(2, capacity, held.shape[2])
    numbers = torch.arange(replay.added - replay.size, replay.added)
    ring[:, numbers % capacity] = held
    expected = ring[torch.arange(2)[:, None], index]
    assert same_bits(drawn.obs, expected[..., :3])
    assert same_bits(drawn.next_obs, expected[..., 6:9])
    assert torch.equal(drawn.reward, expected[..., 5])


def test_ends_of_overwritten_transitions_make_room(spec):
    replay = Replay(spec, 20, torch.device("cpu"), torch.Generator().manual_seed(0), copies=2)
    sizes = []
    for transition in stream(spec, steps=400, copies=2, seed=0, ending=0.3):
        replay.add(transition)
        sizes.append(replay.num_bytes)
    assert sizes[-1] == sizes[100]


@given(
    copies=st.integers(1, 3), horizon=st.integers(1, 4), steps=st.integers(1, 12), capacity=st.integers(3, 15)
)
@settings(max_examples=25, deadline=None)
def test_places_for_transitions_on_the_device_are_those_that_a_plan_gives(copies, horizon, steps, capacity):
    spec = SuiteSpec(("one", "two"), obs_size=2, action_size=1, horizon=horizon, num_goals=1)
    generator = torch.Generator().manual_seed(0)
    planned, placed = (Replay(spec, capacity, torch.device("cpu"), None, copies) for _ in range(2))
    obs = torch.rand(2, copies, 2, generator=generator)
    for step in range(steps):
        next_obs = torch.rand(2, copies, 2, generator=generator)
        rest = torch.zeros(2, copies, 1)
        planned.add(Transition(obs, rest, rest[..., 0], next_obs, rest[..., 0] > 0))
        begun = step % horizon == 0
        places = map(torch.from_numpy, placed.plan_places(follows=not begun))
        placed.store(Packet(torch.cat((obs, rest, rest, rest), -1), *places, next_obs.flatten(0, 1)))
        ended = step % horizon == horizon - 1
        obs = torch.rand(2, copies, 2, generator=generator) if ended else next_obs
        first = planned.added - planned.size
        assert torch.equal(planned.packed(first, planned.added), placed.packed(first, placed.added))
