"""Rebuilds the policy of a run directory, without the programs that trained it.

The directory is not trusted. Its configuration is read as data: no name in it is imported or called, save a
network of :mod:`mtrl.agents.networks`, found by name among those that this package lists itself.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

import mtrl.agents.networks
from mtrl import policies
from mtrl.agents.averaging import acting_network
from mtrl.agents.distributions import TanhNormal
from mtrl.agents.networks import Build, Layers, Sizes
from mtrl.devices import choose_device
from mtrl.errors import UsageError, require
from mtrl.gradients.flat_module import FlatModule
from mtrl.runs import checkpoint
from mtrl.runs.directory import RunDirectory
from mtrl.runs.older import SACS, with_names_of_today
from mtrl.runs.policy import RunPolicy, TaskActor, TaskSpace

MODULE = "mtrl.agents.networks"
NETWORKS: dict[str, Build] = {
    f"{MODULE}.{name}": found
    for name in mtrl.agents.networks.__all__
    if isinstance(found := getattr(mtrl.agents.networks, name), type) and issubclass(found, nn.Module)
}


def load(
    run_dir: str | Path,
    *,
    step: int | None = None,
    device: str = "cpu",
    network: Build | None = None,
) -> RunPolicy:
    """The policy of a run, for use elsewhere: ``mtrl.load(RUN_DIR).act(obs, task="door-open-v3")``.

    ``mtrl.load("mt10")`` is a policy that comes with the package (:mod:`mtrl.policies`), unless something of
    that name lies in the current directory. Neither Hydra nor Meta-World is imported, and nothing that the
    directory names is called.

    Args:
        run_dir: where the run was written, or the name of a policy that comes with the package.
        step: of the checkpoint; None for the newest that is whole.
        device: auto, cpu, cuda or cuda:N.
        network: the class of a network of your own, where the run was trained with one; its options come from
            the run.

    Raises:
        UsageError: if there is no such run, no checkpoint, or it does not fit its configuration.
    """
    files = RunDirectory(policies.at(run_dir))
    files.require_run()
    chosen = choose_device(device)
    agent = _mapping(_read_config(files), "agent", files.config)
    tasks, obs_size, action_size, spaces = _sizes(files.manifest)
    target = agent.get("_target_")
    require(
        target in SACS,  # whose policies are an actor and a tanh-Gaussian
        f"agent._target_ in {files.config} must be {' or '.join(SACS)}, found {target!r}: "
        "load the policy of another agent with its own code",
    )
    options = _mapping(agent, "network", files.config)
    name = options.pop("_target_", None)
    for mark in ("_partial_", "_python_"):
        options.pop(mark, None)
    build = NETWORKS.get(str(name)) if network is None else network
    require(
        build is not None,
        f"agent.network._target_ in {files.config} must be one of {', '.join(NETWORKS)}, found {name!r}: "
        "code that a run directory names is not imported; if the class is yours, give it as network, on a "
        "command line as --network MODULE.CLASS",
    )
    assert build is not None
    # Initial weights, overwritten below.
    layers = Layers(chosen, torch.Generator(chosen), agent.get("layer_norm") == "both")
    try:
        module = build(Sizes(tasks, obs_size, 2 * action_size), layers, **options)
    except TypeError as error:
        raise UsageError(f"agent.network in {files.config} does not fit {name}: {error}") from error
    actor = FlatModule(module, len(tasks))
    state = _state(files, step, chosen)
    try:
        actor.load_state_dict(acting_network(state["agent"]))
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"the checkpoint of {files.path} does not fit its {files.config.name}: {reason}"
        ) from error
    actor.requires_grad_(False)
    policy = TanhNormal(agent.get("log_std", "clip"))
    step = state["step"]
    return RunPolicy(TaskActor(actor, len(tasks)), policy, tasks, obs_size, action_size, step, spaces)


def _state(files: RunDirectory, step: int | None, device: torch.device) -> dict[str, Any]:
    if step is None:
        return files.load_last(device, say=warnings.warn)
    path = files.checkpoints / f"step_{step:010d}.pt"
    known = [saved.stem.removeprefix("step_").lstrip("0") or "0" for saved in files.saved()]
    require(
        path.is_file(), f"step must be that of a checkpoint of {files.path}, {', '.join(known)}; found {step}"
    )
    return checkpoint.load(path, device)


def _read_config(files: RunDirectory) -> dict[str, Any]:
    path = files.config
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"cannot read {path}: {' '.join(str(error).split())}") from error
    require(isinstance(found, dict), f"{path} is not the configuration of a run")
    current: dict[str, Any] = with_names_of_today(found, files.manifest)
    return current


def _mapping(node: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    found = node.get(name)
    require(isinstance(found, dict), f"{path} must hold the options of {name}, found {found!r}")
    assert isinstance(found, dict)
    return dict(found)


def _sizes(path: Path) -> tuple[tuple[str, ...], int, int, dict[str, TaskSpace]]:
    """Task names, O, A, and the tasks' own sizes and bounds, as the run's manifest has them."""
    try:
        suite = json.loads(path.read_text(encoding="utf-8"))["suite"]
        tasks = tuple(map(str, suite["tasks"]))
        obs_size, action_size = int(suite["obs_size"]), int(suite["action_size"])
        spaces = {name: _space(suite["spaces"][name]) for name in tasks} if "spaces" in suite else {}
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise UsageError(
            f"{path} must hold suite.tasks, suite.obs_size and suite.action_size, as train.py writes them "
            f"({type(error).__name__}: {error}); add the sizes by hand to a run that is older"
        ) from error
    for name, space in spaces.items():
        fits = 0 <= space.obs_size <= obs_size
        fits &= len(space.action_low) == len(space.action_high) <= action_size
        require(
            fits, f"suite.spaces in {path} must be within obs_size and action_size, found {space} for {name}"
        )
    return tasks, obs_size, action_size, spaces


def _space(found: dict[str, Any]) -> TaskSpace:
    low, high = (tuple(map(float, found[name])) for name in ("action_low", "action_high"))
    return TaskSpace(int(found["obs_size"]), low, high)
