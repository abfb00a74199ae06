"""Exported policies, used by a process that has PyTorch and not the project."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import mtrl
from mtrl.cli import evaluate, train
from mtrl.cli import export as program
from mtrl.envs.metaworld.suite import benchmark
from mtrl.runs import export
from mtrl.runs.policy import DeterministicPolicy
from mtrl.types import SuiteSpec
from tests.agents.built_agents import AGENTS
from tests.agents.checkpointed_run import STEP, write_checkpointed_run
from tests.tiny_run import TINY

SPEC = SuiteSpec(("turn-0", "turn-120", "turn-240"), obs_size=5, action_size=2, horizon=10, num_goals=4)

ELSEWHERE = """
import json, sys
import numpy as np, torch
obs = torch.from_numpy(np.load("obs.npy"))
for file in sys.argv[1:]:
    extra = {"policy.json": ""}
    policy = torch.export.load(file, extra_files=extra).module()
    facts = json.loads(extra["policy.json"])
    actions = [policy(obs[k], torch.tensor(k)) for k in range(len(facts["tasks"]))]
    one = policy(obs[0, :1], torch.tensor(0))
    assert (one - actions[0][:1]).abs().max() < 1e-6
    np.save(file + ".npy", torch.stack(actions).numpy())
assert not {"mtrl", "agents", "yaml", "hydra"} & set(sys.modules)
try:
    import mtrl
except ImportError:
    pass
else:
    raise SystemExit("the project is on the path")
"""


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """Starts Python with PyTorch, but without the project, which a .pth file may put on the path."""
    site = tmp_path_factory.mktemp("site")
    for path in map(Path, (torch.__file__, np.__file__)):
        for entry in path.parent.parent.iterdir():
            link = site / entry.name
            if not entry.name.startswith(("mtrl", "__editable__")) and entry.suffix != ".pth":
                link.exists() or link.symlink_to(entry)

    def call(folder, *arguments):
        return subprocess.run(
            [sys.executable, "-S", "-c", ELSEWHERE, *arguments],
            cwd=folder,
            env={"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.parametrize("names", [["multihead"], pytest.param(AGENTS, marks=pytest.mark.slow)], ids=len)
def test_agents_act_the_same_without_the_project(names, tmp_path, bare_python):
    obs = torch.randn(3, 200, 5, generator=torch.Generator().manual_seed(0))  # [K, N, O]
    np.save(tmp_path / "obs.npy", obs.numpy())
    agents = {}
    for name in names:
        agents[name] = write_checkpointed_run(tmp_path / name, name, SPEC)
        assert export.export_policy(mtrl.load(tmp_path / name), tmp_path / f"{name}.pt2") <= 1e-6
    result = bare_python(tmp_path, *(f"{name}.pt2" for name in names))
    assert result.returncode == 0, result.stderr
    for name, agent in agents.items():
        live = agent.act(obs, deterministic=True).numpy()
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.pt2.npy"), live, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sac", "multihead", "moore"])
def test_actions_in_mt10_are_those_of_the_agent(name, tmp_path):
    suite = benchmark("MT10", seed=0)
    rng = np.random.default_rng(0)
    obs = np.stack([rollout(suite.task(k), rng) for k in range(10)])  # [K, 1000, O]
    agent = write_checkpointed_run(tmp_path / "run", name, suite.spec)
    export.export_policy(mtrl.load(tmp_path / "run"), tmp_path / "policy.pt2")
    exported = torch.export.load(tmp_path / "policy.pt2").module()
    loaded = mtrl.load(tmp_path / "run")
    rows = torch.from_numpy(obs).float()
    live = agent.act(rows, deterministic=True).numpy()
    for k, task in enumerate(suite.spec.task_names):
        found = exported(rows[k], torch.tensor(k)).numpy()
        np.testing.assert_allclose(found, live[k], rtol=0, atol=1e-6)
        np.testing.assert_allclose(loaded.act(obs[k], task), live[k], rtol=0, atol=1e-6)


def rollout(task, rng):
    """1,000 observations under random actions, over two goals."""
    seen = []
    for goal in (0, 1):
        seen.append(task.reset(goal))
        seen += [task.step(rng.uniform(-1, 1, 4).astype(np.float32))[0] for _ in range(499)]
    return np.stack(seen)


def test_the_command_says_what_it_wrote_and_how_well(run, tmp_path, capsys):
    write_checkpointed_run(tmp_path / "out", "sac", SPEC)
    assert run(program, "out", "--out", "policy.pt2", "--step", STEP) == 0
    said = capsys.readouterr().out
    assert f"policy.pt2: 3 tasks at step {STEP}" in said
    assert float(said.split()[-1]) <= 1e-6
    extra = {"policy.json": ""}
    torch.export.load(tmp_path / "policy.pt2", extra_files=extra)
    facts = {"tasks": list(SPEC.task_names), "obs_size": 5, "action_size": 2, "step": STEP}
    assert json.loads(extra["policy.json"]) == facts
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "policy.pt2"]


def test_a_file_that_acts_otherwise_is_not_kept(run, tmp_path, capsys, monkeypatch):
    write_checkpointed_run(tmp_path / "out", "sac", SPEC)

    class Weaker(DeterministicPolicy):
        def forward(self, obs, task):
            return 0.999 * super().forward(obs, task)

    monkeypatch.setattr(export, "DeterministicPolicy", Weaker)
    assert run(program, "out") == 1
    assert "differs from the checkpoint" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


MY_NET = """
from torch import cat, nn

class Mine(nn.Module):
    def __init__(self, sizes, layers, *, hidden):
        super().__init__()
        self.body = layers.trunk(sizes.inputs, hidden)
        self.head = layers.linear(hidden[-1], sizes.outputs)

    def forward(self, task, *inputs):
        return self.head(self.body(cat(inputs, dim=-1)).tanh())
"""


@pytest.mark.parametrize("named", ["my_net.Mine", "__main__.Mine"])
def test_a_network_of_ones_own_is_exported_and_evaluated(run, tmp_path, capsys, named):
    (tmp_path / "my_net.py").write_text(MY_NET)
    mine = ["agent.network._target_=my_net.Mine", "+agent.network.hidden=[8]"]
    assert run(train, *TINY, "steps_per_task=12", "final_episodes=1", "run_dir=out", *mine) == 0
    if named != "my_net.Mine":  # as Python leaves a class of a notebook
        config = OmegaConf.load(tmp_path / "out" / "config.yaml")
        config.agent.network.update({"_target_": named, "_python_": True})
        OmegaConf.save(config, tmp_path / "out" / "config.yaml")
        assert run(evaluate, "out", "--episodes", "1") == 2
        assert "name it by --network MODULE.CLASS" in capsys.readouterr().err
    assert run(program, "out") == 2
    assert "--network MODULE.CLASS" in capsys.readouterr().err
    for words in (["my_net.Nobody", "has no 'Nobody'"], ["mtrl.errors.UsageError", "network must be"]):
        assert run(program, "out", "--network", words[0]) == 2
        assert words[1] in capsys.readouterr().err
    assert run(program, "out", "--network", "my_net.Mine") == 0
    assert (tmp_path / "policy.pt2").exists()
    assert run(evaluate, "out", "--episodes", "1", "--network", "my_net.Mine") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no run directory at nowhere"),
        (["empty"], "has no config.yaml"),
        (["out", "--step", "7"], "found 7"),
        (["out", "--out", "policy.onnx"], "must end in .pt2, found 'policy.onnx'"),
        (["out", "--out", "nowhere/policy.pt2"], "there is no nowhere"),
        (["out", "--out", "there.pt2"], "there.pt2 exists already"),
    ],
)
def test_bad_input_is_one_line_with_status_2(run, tmp_path, capsys, arguments, words):
    write_checkpointed_run(tmp_path / "out", "sac", SPEC)
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.pt2").write_text("mine")
    assert run(program, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1
    assert (tmp_path / "there.pt2").read_text() == "mine"
    assert not (tmp_path / "policy.pt2").exists()
