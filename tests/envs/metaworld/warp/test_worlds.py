"""Worlds of MuJoCo Warp beside the library's environments, on the CPU: kernels compile for minutes once."""

from contextlib import closing

import numpy as np
import pytest
import torch
from metaworld.policies import ENV_POLICY_MAP

from mtrl.envs.metaworld.suite import benchmark, custom
from mtrl.training.device_evaluation import play

pytest.importorskip("mujoco_warp")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Constant")]
CPU = torch.device("cpu")
NAMES = ["reach-v3", "pick-place-v3", "window-open-v3"]


def suites(names, **options):
    reference = custom(names, seed=3, workers=0, **options)
    return reference, custom(names, seed=3, workers=0, simulator="warp", **options)


def actions(spec, copies, seed):
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (spec.num_tasks, copies, 4)).astype(np.float32)


def make_step(env, action):
    last = env.last
    env.action.copy_(torch.from_numpy(action))
    env.act()
    env.simulate()
    env.join()
    env.observe(last)


def test_goals_resets_and_episodes_follow_the_reference():
    reference, warp = suites(NAMES, copies=3, horizon=4)
    worlds = warp.worlds(CPU)
    with closing(reference.training_env()) as env:
        first = env.reset()
        np.testing.assert_array_equal(worlds.reset().numpy(), first)
        for step in range(9):  # into the third episode
            action = actions(warp.spec, 3, step)
            expected = env.step(action)
            make_step(worlds, action)
            np.testing.assert_allclose(worlds.next_obs.numpy(), expected.next_obs, atol=2e-3)
            np.testing.assert_allclose(worlds.reward.numpy(), expected.reward, atol=2e-2)
            np.testing.assert_array_equal(worlds.success.numpy(), expected.success)
            if expected.truncated.all():
                np.testing.assert_array_equal(worlds.obs.numpy(), expected.obs)


def test_a_recording_does_what_its_kernels_do():
    _, warp = suites(NAMES[:2], copies=2)
    recorded, launched = (warp.worlds(CPU) for _ in range(2))
    launched._simulation._recorded = None  # not to be called
    for env in (recorded, launched):
        env.reset()
    for step in range(6):
        launched._simulation._calls = 0
        for env in (recorded, launched):
            make_step(env, actions(warp.spec, 2, step))
    assert len(recorded._simulation._graphs) == 2
    assert torch.equal(recorded.obs, launched.obs)


def test_a_saved_state_goes_on_to_the_last_bit():
    _, warp = suites(NAMES[1:], copies=2, horizon=5)
    first, second = (warp.worlds(CPU) for _ in range(2))
    first.reset()
    for step in range(8):
        make_step(first, actions(warp.spec, 2, step))
    state = first.state_dict()
    torch.testing.assert_close(second.load_state_dict(state), first.obs, rtol=0, atol=0)
    for step in range(8, 14):
        for env in (first, second):
            make_step(env, actions(warp.spec, 2, step))
        assert torch.equal(first.next_obs, second.next_obs)
        assert torch.equal(first.obs, second.obs)


def test_a_world_that_blows_up_starts_over_within_its_episode():
    _, warp = suites(["pick-place-v3"], copies=2)
    env = warp.worlds(CPU)
    begun = env.reset().clone()
    env._tasks[0].tensors()["qvel"][0, 3] = torch.nan
    make_step(env, actions(warp.spec, 2, 0))
    assert torch.equal(env.obs[0, 0], begun[0, 0])
    assert env.reward[0, 0] == 0
    assert env.reward[0, 1] > 0
    for step in range(3):
        make_step(env, actions(warp.spec, 2, step))
    assert torch.isfinite(env.obs).all()
    assert (env.reward > 0).all()


def test_a_world_that_blows_up_at_the_last_step_keeps_the_goal_of_its_episode():
    _, warp = suites(["pick-place-v3"], copies=2, horizon=1)
    env = warp.worlds(CPU)
    begun = env.reset().clone()
    env._tasks[0].tensors()["qvel"][0, 3] = torch.nan
    make_step(env, actions(warp.spec, 2, 0))
    assert not torch.equal(env.obs[0, 0], begun[0, 0])  # another goal
    assert torch.equal(env.next_obs[0, 0], begun[0, 0])


def test_an_evaluation_does_not_depend_on_those_before():
    _, warp = suites(NAMES[1:], copies=2, horizon=20)
    used, fresh = (warp.worlds(CPU) for _ in range(2))
    play(Mixing(1), used, warp.spec, print)
    for found, expected in zip(
        play(Mixing(2), used, warp.spec, print), play(Mixing(2), fresh, warp.spec, print), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


class Mixing:
    def __init__(self, seed):
        self.weights = torch.randn(39, 4, generator=torch.Generator().manual_seed(seed))

    def act(self, obs, deterministic):
        return torch.tanh(obs @ self.weights)


class Experts:
    def __init__(self, names):
        self.experts = [ENV_POLICY_MAP[name]() for name in names]

    def act(self, obs, deterministic):
        rows = obs.double().numpy()
        chosen = [
            [expert.get_action(row) for row in task] for expert, task in zip(self.experts, rows, strict=True)
        ]
        return torch.from_numpy(np.clip(chosen, -1, 1).astype(np.float32))


def test_experts_solve_mt10_in_warp():
    suite = benchmark("MT10", seed=0, simulator="warp", horizon=200)
    goals = 6
    success, returns = play(Experts(suite.spec.task_names), suite.worlds(CPU, goals), suite.spec, print)
    print(dict(zip(suite.spec.task_names, success.sum(1).tolist(), strict=True)))
    assert (success.sum(1) >= goals - 2).all()
    assert (returns > 0).all()


def test_goals_change_nothing_of_a_model_but_what_worlds_have_of_their_own():
    from mtrl.envs.metaworld.warp.resets import MODEL_FIELDS

    for name in ("peg-insert-side-v3", "door-open-v3", "box-close-v3", "stick-pull-v3"):
        task = custom([name], seed=0).task(0)
        seen = []
        for goal in (0, 7, 23):
            task.reset(goal)
            model = task.env.model
            fields = {field: getattr(model, field) for field in dir(model) if field[0] != "_"}
            seen.append(
                {name: value.copy() for name, value in fields.items() if isinstance(value, np.ndarray)}
            )
        for other in seen[1:]:
            changed = {
                field
                for field, value in seen[0].items()
                if not np.array_equal(value, other[field], equal_nan=value.dtype.kind == "f")
            }
            assert changed <= set(MODEL_FIELDS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_other_work_beside_worlds_and_worlds_before_them_change_nothing():
    _, warp = suites(NAMES, copies=3, horizon=4)
    cuda = torch.device("cuda")
    before = warp.worlds(cuda)
    before.reset()
    make_step(before, actions(warp.spec, 3, 0))
    worlds = [warp.worlds(cuda) for _ in range(2)]
    before.close()
    del before
    alone, beside = worlds
    assert torch.equal(alone.reset(), beside.reset())
    square = torch.randn(4096, 4096, device=cuda)
    for step in range(9):  # into the third episode
        for env in worlds:
            last = env.last
            env.action.copy_(torch.from_numpy(actions(warp.spec, 3, step)))
            env.act()
            env.simulate()
            if env is beside:
                for _ in range(20):
                    square @ square
            else:
                torch.cuda.synchronize()
            env.join()
            env.observe(last)
        # Atomic additions of contacts and forces come in any order.
        torch.testing.assert_close(beside.next_obs, alone.next_obs, rtol=0, atol=1e-3)
        torch.testing.assert_close(beside.reward, alone.reward, rtol=0, atol=1e-2)
