"""The whole path on the real Meta-World, on two tasks and short episodes."""

import json

import numpy as np
import pytest
import torch
from metaworld import MT1
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from mtrl.cli import evaluate, train
from mtrl.envs.metaworld.suite import custom
from mtrl.replay import Replay
from mtrl.types import Transition
from tests.tiny_run import without_times

SHORT = [
    "env=custom",
    "env.tasks=[reach-v3,drawer-close-v3]",
    "env.horizon=15",
    "agent.network.hidden=[16]",
    "steps_per_task=40",
    "warmup_steps=20",
    "batch_size=8",
    "replay_capacity=100",
    "log_interval=10",
    "evaluation_interval=20",
    "evaluation_episodes=1",
    "final_episodes=2",
]


def test_two_tasks_train_evaluate_and_repeat_bit_for_bit(run, tmp_path):
    for name in ("first", "second"):
        assert run(train, *SHORT, "aggregator=cagrad", f"run_dir={name}") == 0
    metrics = [without_times(tmp_path / name / "metrics.jsonl") for name in ("first", "second")]
    assert metrics[0] == metrics[1]
    assert run(evaluate, "first", "--episodes", "3") == 0
    result = json.loads((tmp_path / "first" / "evaluation.json").read_text())
    assert set(result["success"]) == {"reach-v3", "drawer-close-v3"}
    manifest = json.loads((tmp_path / "first" / "manifest.json").read_text())
    assert manifest["suite"]["versions"]["mujoco"] == "3.3.0"
    assert manifest["suite"]["horizon"] == 15


def test_the_replay_holds_the_true_last_observation_and_no_termination_at_the_time_limit():
    horizon, seed = 6, 4
    suite = custom(["reach-v3"], seed=seed, horizon=horizon, workers=0)
    env = suite.training_env()
    replay = Replay(suite.spec, 50, torch.device("cpu"), torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (horizon, 1, 1, 4)).astype(np.float32)
    obs = first = env.reset()
    for action in actions:
        step = env.step(action)
        arrays = (obs, action, step.reward, step.next_obs, step.terminated)
        replay.add(Transition(*map(torch.from_numpy, arrays)))
        obs = step.obs
    assert step.truncated.all()
    assert not step.terminated.any()
    assert not np.array_equal(step.obs, step.next_obs)

    # The library's own environment, started from the goal that fits and given the same actions.
    plain = ALL_V3_ENVIRONMENTS["reach-v3"](reward_function_version="v2")
    for goal in MT1("reach-v3", seed=seed).train_tasks:
        plain.set_task(goal)
        start, _ = plain.reset()
        if np.array_equal(start.astype(np.float32), first[0, 0]):
            break
    for action in actions:
        last, reward, *_ = plain.step(action[0, 0])
    stored = replay.packed(horizon - 1, horizon)[0, 0]
    np.testing.assert_array_equal(stored[-40:-1].numpy(), last.astype(np.float32))
    assert stored[43].item() == pytest.approx(reward)
    assert stored[-1].item() == 0.0
