"""Training on environments that live on the learner's device."""

import json
from functools import partial

import numpy as np
import pytest
import torch

from mtrl import Experiment
from mtrl.errors import EnvironmentFailedError
from mtrl.replay import Replay
from mtrl.training.device_evaluation import play
from mtrl.training.on_device import Choosing, DeviceEpisodes, DeviceTrainer, Storing
from tests.mtrl.training.device_suite import PointsSuite

SMALL = {
    "agent": {"network": {"hidden": [8]}},
    "batch_size": 4,
    "warmup_steps": 3,
    "replay_capacity": 60,
    "evaluation_episodes": 2,
    "final_episodes": 4,
    "log_interval": 15,
    "evaluation_interval": 30,
    "compile": False,
    "display": False,
}


def train(path, steps, **more):
    run = Experiment(env=partial(PointsSuite, copies=3), run_dir=path, steps_per_task=steps, **(SMALL | more))
    return run.train()


def records(path, name):
    lines = [json.loads(line) for line in (path / name).read_text().splitlines()]
    return [{key: value for key, value in line.items() if not key.startswith("time")} for line in lines]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("device") / "run"
    evaluation = train(path, 60)
    return path, evaluation


def test_a_run_logs_updates_episodes_and_evaluations(finished):
    path, evaluation = finished
    assert evaluation.success.shape == (2, 4)
    last = records(path, "metrics.jsonl")[-1]
    assert last["step"] == 60
    assert last["updates"] == 20 - 3
    assert {"train/return/one", "train/success/two"} <= last.keys()


def test_a_resumed_run_goes_on_as_if_nothing_had_happened(finished, tmp_path, monkeypatch):
    path, _ = finished
    again = tmp_path / "again"
    step = DeviceTrainer._step

    def stop(trainer):
        if trainer.step == 39:  # within an episode
            raise EnvironmentFailedError("lost")
        step(trainer)

    with monkeypatch.context() as patch, pytest.raises(EnvironmentFailedError):
        patch.setattr(DeviceTrainer, "_step", stop)
        train(again, 60)
    train(again, 60, resume=True)
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        assert records(again, name) == records(path, name)


def test_a_run_begins_with_what_its_suite_warns_of(tmp_path, capsys):
    def warning_suite(**options):
        suite = PointsSuite(**options)
        suite.warning = "warning: one is harder here"
        return suite

    more = {"display": True, "warmup_steps": 1}
    Experiment(env=warning_suite, run_dir=tmp_path / "run", steps_per_task=2, **(SMALL | more)).train()
    shown = capsys.readouterr()
    assert "warning: one is harder here" in shown.out + shown.err


class Steady:
    """Acts on every number of an observation, without noise."""

    def act(self, obs, deterministic):
        return torch.tanh(obs[..., :2] - 2 * obs[..., 2:])


def test_the_replay_holds_true_outcomes_where_episodes_end():
    suite = PointsSuite(seed=1)
    env = suite.worlds(torch.device("cpu"))
    replay = Replay(suite.spec, 30, torch.device("cpu"), torch.Generator().manual_seed(0), env.copies)
    choosing = Choosing(env, Steady(), torch.Generator().manual_seed(0), None)
    storing = Storing(env, replay, DeviceEpisodes(suite.spec, env), choosing.obs, None)
    env.reset()
    expected = []
    for step in range(13):
        begun, last, obs = env.begun, env.last, env.obs.clone()
        choosing(random=step < 4)
        assert step < 4 or torch.equal(env.action, Steady().act(obs, deterministic=False))
        env.simulate()
        env.join()
        storing(begun, last)
        columns = (obs, env.action, env.reward[..., None], env.next_obs, torch.zeros(2, 3, 1))
        expected.append(torch.cat(columns, -1))
    stored = replay.packed(replay.added - replay.size, replay.added)
    torch.testing.assert_close(stored, torch.cat(expected, 1)[:, -30:], rtol=0, atol=0)


def test_episodes_are_averaged_over_those_that_ended():
    suite = PointsSuite(seed=1)
    env = suite.worlds(torch.device("cpu"))
    episodes = DeviceEpisodes(suite.spec, env)
    assert episodes.report() == {}
    env.reward.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 6.0]]))
    env.success.copy_(torch.tensor([[True, False, False], [False, False, False]]))
    episodes.add(last=False)
    env.success.zero_()
    episodes.add(last=True)
    means = episodes.report()
    assert means["train/return/one"] == pytest.approx(4.0)
    assert means["train/return/two"] == pytest.approx(4.0)
    assert means["train/success/one"] == pytest.approx(1 / 3)
    assert means["train/success/two"] == 0.0
    assert episodes.report() == {}


class ToGoal:
    """Walks straight to the goals of one task, and away from those of the other."""

    def act(self, obs, deterministic):
        assert deterministic
        way = obs[..., 2:] - obs[..., :2]
        return way.clamp(-1, 1) * torch.tensor([1.0, -1.0])[:, None, None]


def test_an_evaluation_counts_returns_up_to_success():
    suite = PointsSuite(seed=1, horizon=9)
    env = suite.worlds(torch.device("cpu"), 8)
    success, returns = play(ToGoal(), env, suite.spec, print)
    np.testing.assert_array_equal(success, [[True] * 8, [False] * 8])
    assert (returns[0] > 0).all()
    assert (returns[0] < 3).all()  # fewer than 9 rewards
    assert (returns[1] < -4.5).all()  # of all 9 steps, ever farther away
