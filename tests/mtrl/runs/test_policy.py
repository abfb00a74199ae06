import numpy as np
import pytest
import torch

from mtrl.errors import UsageError
from mtrl.runs.policy import RunPolicy, TaskActor
from tests.agents.built_agents import build


@pytest.fixture
def agent(spec):
    return build("multihead", spec)


@pytest.fixture
def policy(agent, spec):
    actor = TaskActor(agent.actor.network, spec.num_tasks)
    return RunPolicy(actor, agent.policy, spec.task_names, spec.obs_size, spec.action_size, step=1)


def test_the_answer_is_of_the_kind_and_shape_of_the_question(policy):
    for shape, expected in (((5,), (2,)), ((7, 5), (7, 2)), ((0, 5), (0, 2))):
        array = policy.act(np.ones(shape), task="turn-120")
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float32
        assert array.shape == expected
        tensor = policy.act(torch.ones(shape, dtype=torch.float64), task="turn-120")
        assert isinstance(tensor, torch.Tensor)
        assert tensor.dtype == torch.float32
        assert not tensor.requires_grad
        np.testing.assert_array_equal(tensor.numpy(), array)


def test_tasks_are_told_apart(policy, spec):
    actions = [policy.act(np.ones(5), name) for name in spec.task_names]
    assert np.abs(actions[0] - actions[1]).max() > 0.01
    assert np.abs(actions[1] - actions[2]).max() > 0.01


def test_samples_scatter_around_the_mode_and_repeat_with_their_generator(policy):
    obs = np.zeros((4000, 5))

    def draw():
        return policy.act(obs, "turn-0", deterministic=False, generator=torch.Generator().manual_seed(3))

    samples = draw()
    np.testing.assert_array_equal(samples, draw())
    assert samples.std(0).min() > 0.1
    np.testing.assert_allclose(np.median(samples, 0), policy.act(obs[0], "turn-0"), atol=0.1)


def test_an_array_that_cannot_be_written_is_taken_and_none_is_changed(policy):
    obs = np.ones(5)
    obs.flags.writeable = False
    policy.act(obs, "turn-0")
    np.testing.assert_array_equal(obs, 1)


@pytest.mark.parametrize(
    ("obs", "task", "options", "words"),
    [
        (np.ones(5), "door", {}, "turn-0, turn-120, turn-240; found 'door'"),
        (np.ones(4), "turn-0", {}, r"shape \[5\] or \[N, 5\], found \[4\]"),
        (np.ones((2, 3, 5)), "turn-0", {}, r"found \[2, 3, 5\]"),
        (np.float64(1), "turn-0", {}, r"found \[\]"),
        (np.ones(5, np.int64), "turn-0", {}, "floating type, found torch.int64"),
        (np.full(5, np.nan), "turn-0", {}, "finite.*task turn-0"),
        (torch.full((2, 5), torch.inf), "turn-0", {}, "finite"),
        (np.ones(5), "turn-0", {"deterministic": False}, "give a torch.Generator"),
    ],
)
def test_careless_questions_get_a_clear_answer(policy, obs, task, options, words):
    with pytest.raises(UsageError, match=words):
        policy.act(obs, task, **options)
