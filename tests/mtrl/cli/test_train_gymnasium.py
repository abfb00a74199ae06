"""A user's own task beside Gymnasium's: trained, killed, resumed, evaluated, filmed, exported, loaded."""

import json
import sys

import gymnasium
import numpy as np
import pytest
import torch

import mtrl
from mtrl.cli import evaluate, export, record, train
from mtrl.envs.gymnasium.suite import GymnasiumSuite
from tests.mtrl.cli.test_resume import OFTEN, assert_same_run, kill_again_and_again
from tests.tiny_run import rows
from tests.warm_start import SCRIPTS, Program

MINE = """
import gymnasium
import numpy as np


class Push(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (2,))
    action_space = gymnasium.spaces.Box(np.array([0.0, -3.0]), np.array([4.0, 3.0]), dtype=np.float64)
    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(-1, 1, 2)
        return self.place.astype(np.float32), {}

    def step(self, action):
        self.place = np.clip(self.place + 0.1 * action + self.np_random.normal(0, 0.01, 2), -9, 9)
        far = float(abs(self.place[1]))
        return self.place.astype(np.float32), -far, far > 2, False, {"success": far < 0.1}

    def render(self):
        return np.full((32, 32, 3), 90, np.uint8)
"""
OPTIONS = [
    "env=gymnasium",
    "env.tasks=[my_push.Push,Pendulum-v1]",
    "env.horizon=[20,null]",
    "env.success_return=[null,-900]",
    "env.workers=2",
    "agent.network.hidden=[8]",
    "steps_per_task=160",
    "warmup_steps=30",
    "batch_size=4",
    "replay_capacity=150",
    "log_interval=20",
    "evaluation_interval=80",
    "evaluation_episodes=2",
    "final_episodes=2",
    OFTEN,
]


@pytest.fixture
def written(run, tmp_path, monkeypatch):
    """The whole run ``whole``, beside the module ``my_push``."""
    (tmp_path / "my_push.py").write_text(MINE)
    monkeypatch.delitem(sys.modules, "my_push", raising=False)
    assert run(train, *OPTIONS, "run_dir=whole") == 0
    return tmp_path


def test_it_goes_all_the_way(written, run, capsys):
    kill_again_and_again(written, OPTIONS, 1, seed=3)
    assert_same_run(written / "whole", written / "killed", capacity=150)
    (*_, final) = rows(written / "whole" / "evaluations.jsonl")
    assert final["success"].keys() == {"my_push.Push", "Pendulum-v1"}

    assert run(evaluate, "whole", "--episodes", "2") == 0
    again = json.loads((written / "whole" / "evaluation.json").read_text())
    assert again["return"] == final["return"]
    assert again["success"] == final["success"]

    assert run(record, "whole", "--task", "my_push.Push", "--size", "32", "--out", "push.gif") == 0
    assert (written / "push.gif").stat().st_size > 0
    assert run(record, "whole", "--camera", "corner") == 2
    assert "a camera can be chosen for Meta-World only" in capsys.readouterr().err
    assert run(export, "whole") == 0

    policy = mtrl.load(written / "whole")
    check_actions(policy, written)
    extra = {"policy.json": ""}
    torch.export.load(written / "policy.pt2", extra_files=extra)
    facts = json.loads(extra["policy.json"])
    assert facts["spaces"]["Pendulum-v1"] == {"obs_size": 3, "action_low": [-2], "action_high": [2]}


def check_actions(policy, folder):
    """What the loaded policy hands out is what the suite hands to the environment in training."""
    names = ["my_push.Push", "Pendulum-v1"]
    tasks = GymnasiumSuite(names, seed=0, horizon=[20, None], workers=0)
    for index, name in enumerate(names):
        task = tasks.task(index)
        given = []
        inner = task.env.step
        task.env.step = lambda action, inner=inner, given=given: given.append(action) or inner(action)
        padded = torch.from_numpy(task.reset(0))[None]  # [1, O]
        own = padded[0, : task._own_size].numpy()
        task.step(policy.act_padded(padded, name)[0].numpy())
        found = policy.act(own, name)
        np.testing.assert_array_equal(found, given[0].astype(np.float32))
        assert found in gymnasium.spaces.Box(task._low, task._high, dtype=task._low.dtype)


def test_a_class_that_is_no_environment_is_one_line_with_status_2(run, tmp_path):
    (tmp_path / "my_push.py").write_text("class Push: ...\n")
    refused = Program(tmp_path, SCRIPTS / "train.py", *OPTIONS, "run_dir=out")
    _, error = refused.communicate()
    assert refused.returncode == 2
    assert error.count("\n") == 1
    assert "tasks must be a class derived from gymnasium.Env" in error
    assert not (tmp_path / "out").exists()
