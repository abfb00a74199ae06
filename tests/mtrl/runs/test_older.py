"""Runs of release 0.1.0, whose agents and environments were packages beside mtrl."""

import importlib
import json

import pytest
import torch

import mtrl
from mtrl.config.build import build_agent, build_suite, load_config, training_config
from mtrl.errors import UsageError
from mtrl.runs.directory import RunDirectory
from mtrl.runs.older import CLASSES
from tests.agents.checkpointed_run import STEP, write_checkpointed_run

CONFIG = """\
seed: 0
device: auto
run_dir: null
resume: null
steps_per_task: 300
warmup_steps: 200
batch_size: 32
updates_per_step: 1.0
replay_capacity: 4000
log_interval: 500
conflict_interval: 100
evaluation_interval: 200
evaluation_episodes: 10
final_episodes: 2
film_evaluations: false
keep_checkpoints: 3
checkpoint_minutes: 5.0
on_divergence: stop
checkpoint_replay: true
compile: false
precision: fp32
cudagraphs: false
task_chunk: null
env:
  _target_: envs.toy.ToySuite
  tasks: 4
  copies: 1
  horizon: 30
  num_goals: 50
agent:
  _target_: agents.sac.SAC
  network:
    _target_: agents.networks.BroNet
    _partial_: true
    hidden:
    - 16
    - 16
    size: 4
  critic_network: null
  value:
    _target_: agents.values.CategoricalValue
    atoms: 11
    low: -10.0
    high: 10.0
  layer_norm: none
  log_std: clip
  learning_rate: 0.001
  weight_decay: 0.0
  max_gradient_norm: null
  aggregate: shared
  discount: 0.95
  polyak: 0.005
  temperature: per_task
  initial_temperature: 1.0
  target_entropy: null
  task_weights: uniform
  reward_scale: 1.0
  normalize_rewards: false
aggregator:
  _target_: mtrl.aggregators.CAGrad
  c: 0.5
  solver: exact
  rescale: none
  learning_rate: 25.0
"""


def write(path, release, config=CONFIG):
    (path / "config.yaml").write_text(config)
    (path / "manifest.json").write_text(json.dumps({"versions": {"mtrl": release}}))
    return RunDirectory(path)


def test_the_suite_the_agent_and_the_loop_of_a_run_are_built(tmp_path):
    config = load_config(write(tmp_path, "0.1.0"))
    suite = build_suite(config)
    agent = build_agent(config, suite.spec, torch.device("cpu"), torch.Generator())
    assert type(suite).__module__ == "mtrl.envs.point_mass"
    assert type(agent).__module__ == "mtrl.agents.sac"
    assert training_config(config).steps_per_task == 300
    assert config.record_evaluations is False
    assert "film_evaluations" not in config


def test_the_policy_of_a_run_is_loaded(spec, tmp_path):
    agent = write_checkpointed_run(tmp_path, "sac", spec, seed=5)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"versions": {"mtrl": "0.1.0"}}))
    config = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(config.replace("mtrl.agents.", "agents."))
    policy = mtrl.load(tmp_path)
    assert policy.step == STEP
    obs = torch.randn(3, 5, 5)  # [K, N, O]
    torch.testing.assert_close(policy.act(obs[1], spec.task_names[1]), agent.act(obs, deterministic=True)[1])


@pytest.mark.parametrize("release", ["0.2.0", None, ["0.1.0"]])
def test_a_package_of_the_same_name_is_left_alone_in_other_runs(release, tmp_path):
    files = write(tmp_path, release)
    assert load_config(files).agent._target_ == "agents.sac.SAC"
    with pytest.raises(UsageError, match=r"found 'agents\.sac\.SAC'"):
        write_policy_files(files)
        mtrl.load(tmp_path)


def write_policy_files(files):
    files.checkpoints.mkdir()
    files.save(1, {}, keep=1)
    manifest = json.loads(files.manifest.read_text())
    sizes = {"tasks": ["a"], "obs_size": 3, "action_size": 2}
    files.write_manifest(manifest | {"suite": sizes})


def test_what_is_no_manifest_stands_for_no_release(tmp_path):
    files = write(tmp_path, "0.1.0")
    for text in ("", "[]", '{"versions": 3}', "[" * 100_000):
        files.manifest.write_text(text)
        assert load_config(files).env._target_ == "envs.toy.ToySuite"


@pytest.mark.parametrize("name", CLASSES.values())
def test_each_name_of_today_leads_to_a_class_or_a_function(name):
    module, _, target = name.rpartition(".")
    assert getattr(importlib.import_module(module), target).__module__.startswith("mtrl.")


def test_options_that_came_later_are_what_they_were_without(tiny_run):
    files = RunDirectory(tiny_run)
    later = ("gradients", "exploration_rate", "actor_polyak")
    lines = files.config.read_text().splitlines()
    files.config.write_text("\n".join(line for line in lines if not line.strip().startswith(later)))
    config = load_config(files)
    assert [config.gradients, config.exploration_rate, config.agent.actor_polyak] == ["auto", 0.0, None]
