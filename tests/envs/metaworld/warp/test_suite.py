"""The suite of worlds, as far as it can be looked at without MuJoCo Warp."""

from importlib.util import find_spec

import pytest
import torch

from mtrl import Experiment
from mtrl.envs.metaworld.suite import custom
from mtrl.envs.suite import SuiteEvaluationEnv
from mtrl.errors import UsageError

without_warp = pytest.mark.skipif(find_spec("mujoco_warp") is not None, reason="MuJoCo Warp is installed")


@without_warp
def test_training_says_which_environment_it_needs():
    suite = custom(["reach-v3"], seed=0, simulator="warp", copies=4)
    with pytest.raises(UsageError, match=r"needs the package mujoco-warp.*make warp.*simulator=mujoco"):
        suite.worlds(torch.device("cpu"))


@without_warp
def test_evaluations_are_the_benchmarks_where_its_own_mujoco_is():
    assert isinstance(custom(["reach-v3"], seed=0, simulator="warp").evaluation_env(), SuiteEvaluationEnv)


def test_it_describes_simulator_and_settings():
    facts = custom(["reach-v3"], seed=0, simulator="warp", copies=4000).describe()
    assert facts["simulator"]["name"] == "MuJoCo Warp"
    assert facts["simulator"]["settings"]["contacts_per_world"] > 0
    assert facts["copies"] == 4000


def test_it_warns_of_tasks_that_are_harder_in_warp_within_the_time_limit():
    names = ["reach-v3", "disassemble-v3"]
    warning = custom(names, seed=0, simulator="warp", horizon=200).warning
    assert "disassemble-v3 (its expert solves 3 of 10 goals" in warning
    assert "reach" not in warning
    assert custom(names, seed=0, simulator="warp", horizon=500).warning is None
    assert custom(names[:1], seed=0, simulator="warp", horizon=200).warning is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulator": "wrap"}, "simulator must be"),
        ({"simulator": "warp", "reward": "v1"}, "reward must be v2 with env.simulator=warp"),
        ({"simulator": "warp", "copies": 10**7}, "copies must"),
    ],
)
def test_what_it_cannot_do_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        custom(["reach-v3"], seed=0, **options)


@without_warp
def test_a_run_without_the_simulator_leaves_nothing_behind(tmp_path):
    env = {"preset": "custom", "tasks": ["reach-v3"], "simulator": "warp"}
    run = Experiment(env=env, run_dir=tmp_path / "run", display=False)
    with pytest.raises(UsageError, match="make warp"):
        run.train()
    assert not (tmp_path / "run").exists()
