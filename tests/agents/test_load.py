"""Policies rebuilt from run directories, and what such a directory must not be able to do."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

import mtrl
import mtrl.runs.directory
from mtrl.errors import DamagedFileError, UsageError
from mtrl.runs.directory import RunDirectory
from tests.agents.built_agents import AGENTS
from tests.agents.checkpointed_run import STEP, write_checkpointed_run
from tests.docs.commands import ROOT

UNWANTED = ["hydra", "omegaconf", "tensorboard", "rich", "metaworld", "mujoco", "gymnasium", "matplotlib"]


class Mine(nn.Module):
    """A network that is none of the project's."""

    def __init__(self, sizes, layers, *, hidden):
        super().__init__()
        self.layers = layers.mlp(sizes.inputs, hidden, sizes.outputs)

    def forward(self, task, *inputs):
        return self.layers(torch.cat(inputs, dim=-1))


VARIANTS = [
    *((name, {}) for name in AGENTS),
    ("multihead", {"network": {"rotation": 4}}),
    ("sac", {"layer_norm": "both", "log_std": "tanh"}),
]


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_policy_is_that_of_the_agent(name, options, spec, tmp_path):
    agent = write_checkpointed_run(tmp_path, name, spec, seed=5, **options)
    policy = mtrl.load(tmp_path)
    assert policy.task_names == spec.task_names
    assert policy.step == STEP
    obs = torch.randn(3, 1000, 5, generator=torch.Generator().manual_seed(0))  # [K, N, O]
    live = agent.act(obs, deterministic=True)
    noise = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
    for k, task in enumerate(spec.task_names):
        torch.testing.assert_close(policy.act(obs[k], task), live[k], rtol=0, atol=1e-6)
        drawn = policy.act(obs[k], task, deterministic=False, generator=torch.Generator().manual_seed(1))
        outputs = agent.actor.network(agent.tasks, obs)[k]
        torch.testing.assert_close(drawn, agent.policy.sample(outputs, noise)[0], rtol=0, atol=1e-5)


def test_of_a_run_with_an_averaged_actor_that_one_is_the_policy(spec, tmp_path):
    agent = write_checkpointed_run(tmp_path, "sac", spec, actor_polyak=0.5)
    with torch.no_grad():
        agent.actor.network.shared.add_(0.1)
    RunDirectory(tmp_path).save(STEP + 1, {"agent": agent.state_dict()}, keep=1)
    policy, obs = mtrl.load(tmp_path), torch.randn(3, 10, 5)
    for k, task in enumerate(spec.task_names):
        torch.testing.assert_close(policy.act(obs[k], task), agent.act(obs, deterministic=True)[k])
        assert not torch.allclose(
            policy.act(obs[k], task), agent.policy.mode(agent.actor.network(agent.tasks, obs)[k])
        )


def test_loading_starts_nothing_of_training(spec, tmp_path):
    write_checkpointed_run(tmp_path, "sac", spec)
    code = f"""
import sys, mtrl
policy = mtrl.load({str(tmp_path)!r})
policy.act([0.0] * 5, "turn-0")
print(*sorted({{name.split(".")[0] for name in sys.modules}}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = result.stdout.split()
    assert "torch" in loaded  # so that the list is one
    assert not set(UNWANTED) & set(loaded)


def test_a_checkpoint_is_chosen_by_its_step(spec, tmp_path):
    write_checkpointed_run(tmp_path, "sac", spec)
    files = mtrl.runs.directory.RunDirectory(tmp_path)
    other = write_checkpointed_run(tmp_path / "other", "sac", spec, seed=1)
    files.save(60, {"agent": other.state_dict()}, keep=2)
    obs = np.ones(5)
    new, old = mtrl.load(tmp_path), mtrl.load(tmp_path, step=STEP)
    assert (new.step, old.step) == (60, STEP)
    assert np.abs(new.act(obs, "turn-0") - old.act(obs, "turn-0")).max() > 1e-3
    with pytest.raises(UsageError, match="30, 60; found 7"):
        mtrl.load(tmp_path, step=7)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(spec, tmp_path):
    agent = write_checkpointed_run(tmp_path, "sac", spec)
    files = mtrl.runs.directory.RunDirectory(tmp_path)
    newest = files.save(60, {"agent": agent.state_dict()}, keep=2)
    newest.write_bytes(newest.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="bytes; trying the checkpoint before"):
        assert mtrl.load(tmp_path).step == STEP
    with pytest.raises(DamagedFileError, match="cannot read checkpoint"):
        mtrl.load(tmp_path, step=60)


def edit(path, key, value):
    config = OmegaConf.load(path / "config.yaml")
    OmegaConf.update(config, key, value, force_add=True, merge=False)
    OmegaConf.save(config, path / "config.yaml")


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.exec",
        "my_net.Gated",
        "mtrl.agents.values.Twin",
        "mtrl.agents.networks.Build",
        "mtrl.agents.networks.torch.load",
        "mtrl.agents.networks.layers.Bank",
        "mtrl.agents.sac.SAC",
        None,
    ],
)
def test_only_the_projects_networks_are_built(target, spec, tmp_path, monkeypatch):
    write_checkpointed_run(tmp_path, "sac", spec)
    edit(tmp_path, "agent.network._target_", target)
    (tmp_path / "my_net.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"must be one of mtrl\.agents\.networks\.CARE.*not imported"):
        mtrl.load(tmp_path)
    assert "my_net" not in sys.modules


def test_a_node_inside_the_options_is_data(spec, tmp_path):
    write_checkpointed_run(tmp_path, "sac", spec)
    mark = tmp_path / "mark"
    edit(tmp_path, "agent.network.hidden", {"_target_": "pathlib.Path.touch", "self": str(mark)})
    with pytest.raises(UsageError, match="hidden"):
        mtrl.load(tmp_path)
    assert not mark.exists()


def test_a_tag_in_the_yaml_is_refused(spec, tmp_path):
    write_checkpointed_run(tmp_path, "sac", spec)
    mark = tmp_path / "mark"
    (tmp_path / "config.yaml").write_text(f"agent: !!python/object/apply:os.mkdir ['{mark}']\n")
    with pytest.raises(UsageError, match=r"cannot read .*config\.yaml"):
        mtrl.load(tmp_path)
    assert not mark.exists()


def test_a_network_of_ones_own_is_given(spec, tmp_path):
    agent = write_checkpointed_run(tmp_path, "sac_unconditioned", spec)
    edit(tmp_path, "agent.network._target_", "my_net.Mine")
    policy = mtrl.load(tmp_path, network=Mine)
    obs = torch.ones(3, 1, 5)
    torch.testing.assert_close(policy.act(obs[0], "turn-0"), agent.act(obs, True)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("agent._target_", "my_file.Agent", "found 'my_file.Agent': load the policy of another agent"),
        ("agent.network.hidden", [8], "the checkpoint of .* does not fit its config.yaml"),
        ("agent.network.wings", 2, "does not fit mtrl.agents.networks.OneHotMLP: .*wings"),
        ("agent.network", None, "must hold the options of network"),
        ("agent.log_std", "bent", "log_std must be"),
    ],
)
def test_a_configuration_that_does_not_fit_is_explained(key, value, words, spec, tmp_path):
    write_checkpointed_run(tmp_path, "sac", spec)
    edit(tmp_path, key, value)
    with pytest.raises(UsageError, match=words):
        mtrl.load(tmp_path)


SPACE = {"obs_size": 3, "action_low": [-2], "action_high": [4]}


def with_spaces(path, spec, changed=None, value=None):
    """A run on tasks of a size of their own, the first task's space changed."""
    write_checkpointed_run(path, "sac", spec)
    manifest = json.loads((path / "manifest.json").read_text())
    spaces = {name: dict(SPACE) for name in spec.task_names}
    if changed is not None:
        spaces[spec.task_names[0]][changed] = value
    manifest["suite"]["spaces"] = spaces
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_a_task_of_its_own_size_is_padded_and_its_action_stretched(spec, tmp_path):
    with_spaces(tmp_path, spec)
    policy = mtrl.load(tmp_path)
    task = spec.task_names[1]
    obs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    padded = torch.cat([obs, torch.zeros(7, 2)], dim=1)
    expected = 1 + 3 * policy.act_padded(padded, task)[:, :1]
    torch.testing.assert_close(policy.act(obs, task), expected)
    assert policy.act(obs[0].numpy(), task).shape == (1,)
    with pytest.raises(UsageError, match=r"obs must have shape \[3\]"):
        policy.act(padded, task)


@pytest.mark.parametrize(
    ("changed", "value", "words"),
    [
        ("obs_size", 6, "must be within obs_size and action_size"),
        ("obs_size", -1, "must be within"),
        ("action_low", [0, 0], "must be within"),
        ("action_low", [[0]], r"must hold suite\.tasks"),
        ("action_high", 3, r"must hold suite\.tasks"),
        ("obs_size", None, r"must hold suite\.tasks"),
    ],
)
def test_sizes_that_cannot_be_are_refused(changed, value, words, spec, tmp_path):
    with_spaces(tmp_path, spec, changed, value)
    with pytest.raises(UsageError, match=words):
        mtrl.load(tmp_path)


def test_what_is_no_run_is_refused(spec, tmp_path):
    with pytest.raises(UsageError, match="no run directory at"):
        mtrl.load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"no run directory: it has no config\.yaml"):
        mtrl.load(tmp_path)
    write_checkpointed_run(tmp_path, "sac", spec)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"must hold suite\.tasks"):
        mtrl.load(tmp_path)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match="no checkpoint yet"):
        mtrl.load(tmp_path)
