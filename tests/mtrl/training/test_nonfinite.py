"""An update with numbers that are not finite is found, named and, where that is asked, undone."""

import copy

import pytest
import torch

from mtrl.errors import DivergenceError
from mtrl.training.nonfinite import MAX_CONSECUTIVE_SKIPS, NonfiniteGuard
from tests.agents.built_agents import AGENTS, build
from tests.conftest import random_batch


def broken(spec, task=1, seed=9):
    batch = random_batch(spec, 8, seed=seed)
    batch.reward[task, 3] = float("nan")
    return batch


def update(guard, batch, diagnose, step):
    """As the training loop does it."""
    guard.remember()
    return guard.judge(guard.agent.update(batch, diagnose), step)


def flat(state):
    leaves, _ = torch.utils._pytree.tree_flatten(state)
    return [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]


def same(first, second):
    pairs = zip(first, second, strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


@pytest.mark.parametrize("name", AGENTS)
def test_a_skipped_update_leaves_the_whole_state_as_it_was(spec, name):
    agent = build(name, spec)
    guard = NonfiniteGuard(agent, spec.task_names, "skip")
    update(guard, random_batch(spec, 8), False, 1)
    before = flat(agent.state_dict())
    metrics = update(guard, broken(spec), True, 2)
    assert same(flat(agent.state_dict()), before)
    assert all(value.isfinite().all() for value in metrics.values())
    assert guard.check() == {"skipped_updates": 1}
    update(guard, random_batch(spec, 8, seed=2), False, 3)
    assert not same(flat(agent.state_dict()), before)


@pytest.mark.parametrize("name", AGENTS)
def test_a_first_update_that_is_skipped_leaves_no_trace(spec, name):
    agent, other = build(name, spec), build(name, spec)
    guard = NonfiniteGuard(agent, spec.task_names, "skip")
    update(guard, broken(spec), False, 1)
    agent.generator.set_state(other.generator.get_state())
    for step in range(3):
        torch.manual_seed(step)
        agent.update(random_batch(spec, 8, seed=step), False)
        torch.manual_seed(step)
        other.update(random_batch(spec, 8, seed=step), False)
    assert same(flat(agent.state_dict()), flat(other.state_dict()))


def test_skipping_changes_nothing_while_all_is_finite(spec):
    agent, other = build("sac", spec), build("sac", spec)
    guard = NonfiniteGuard(agent, spec.task_names, "skip")
    for step in range(3):
        update(guard, random_batch(spec, 8, seed=step), False, step)
        other.update(random_batch(spec, 8, seed=step), False)
    assert same(flat(agent.state_dict()), flat(other.state_dict()))


def test_the_error_names_step_task_and_value(spec):
    guard = NonfiniteGuard(build("sac", spec), spec.task_names, "stop")
    update(guard, random_batch(spec, 8), False, 40)
    assert guard.check() == {}
    update(guard, broken(spec), False, 41)
    update(guard, random_batch(spec, 8), False, 42)
    with pytest.raises(DivergenceError) as error:
        guard.check()
    words = str(error.value)
    assert words.startswith("step 41: not finite: ")
    assert f"critic/loss of task {spec.task_names[1]}" in words
    assert "1 updates in all" in words


def test_an_infinite_gradient_with_a_finite_loss_is_found(spec):
    agent = build("sac", spec)
    batch = random_batch(spec, 8)
    batch.reward[2] = 5e18  # its square fits float32, that of the gradient's norm does not
    guard = NonfiniteGuard(agent, spec.task_names, "stop")
    assert update(guard, batch, False, 7)["critic/loss"].isfinite().all()
    with pytest.raises(DivergenceError, match=f"critic/gradient of task {spec.task_names[2]}"):
        guard.check()


def test_too_many_in_a_row_stop_the_run_and_as_many_apart_do_not(spec):
    guard = NonfiniteGuard(build("sac", spec), spec.task_names, "skip")
    for step in range(MAX_CONSECUTIVE_SKIPS - 1):
        update(guard, broken(spec), False, step)
    update(guard, random_batch(spec, 8), False, 200)
    update(guard, broken(spec), False, 201)
    assert guard.check() == {"skipped_updates": MAX_CONSECUTIVE_SKIPS}
    resumed = NonfiniteGuard(guard.agent, spec.task_names, "skip")
    resumed.load_state_dict(copy.deepcopy(guard.state_dict()))
    for step in range(MAX_CONSECUTIVE_SKIPS - 1):
        update(resumed, broken(spec), False, step)
    with pytest.raises(DivergenceError, match=f"{MAX_CONSECUTIVE_SKIPS} in a row"):
        resumed.check()


class Resident:
    """An agent that has nothing on the host; PyTorch's optimisers keep a count there on "meta" alone."""

    def __init__(self, agent):
        self.agent = agent

    def update(self, batch, diagnose):
        return self.agent.update(batch, diagnose)

    def state_dict(self):
        return self.agent.actor.network.state_dict() | self.agent.rewards.state_dict()


@pytest.mark.parametrize("mode", ["stop", "skip"])
def test_an_update_never_waits_for_the_device(spec, mode):
    guard = NonfiniteGuard(Resident(build("sac", spec, device="meta")), spec.task_names, mode)
    for step in range(2):
        metrics = update(guard, random_batch(spec, 8, device="meta"), True, step)
    assert {value.device.type for value in metrics.values()} == {"meta"}


@pytest.mark.parametrize("mode", ["stop", "skip"])
def test_an_update_is_one_graph(spec, mode):
    agent = build("sac", spec)
    guard = NonfiniteGuard(agent, spec.task_names, mode)
    update(guard, random_batch(spec, 8), False, 0)
    names = guard.state_dict()["names"]
    values = {name: torch.zeros(3, dtype=torch.bool) for name in names}
    torch.compile(guard.count, fullgraph=True, backend="eager")(values, 5)
