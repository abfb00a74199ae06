"""Train a multi-task agent:  python scripts/train.py env=mt10 aggregator=cagrad seed=0  (see --help)."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mtrl.analysis.grouping import learning_options
from mtrl.config import sweep
from mtrl.config.build import (
    LEAVES,
    build_agent,
    build_suite,
    generators,
    load_config,
    predict_memory,
    resolve,
    training_config,
)
from mtrl.config.compose import FAILED, SIGNALLED, compose_config, find_modules_here, help_text, run_program
from mtrl.config.resume import begun_in, newest_in
from mtrl.devices import choose_device
from mtrl.envs.metaworld.camera import choose_backend
from mtrl.envs.metaworld.suite import MetaWorldSuite
from mtrl.envs.metaworld.video import gif
from mtrl.errors import require
from mtrl.replay import require_memory
from mtrl.runs.directory import RunDirectory
from mtrl.runs.manifest import manifest
from mtrl.training.compiling import compiles
from mtrl.training.config import TrainingConfig
from mtrl.training.evaluation import on_host
from mtrl.training.progress import Display
from mtrl.training.trainer import Trainer
from mtrl.types import Agent, Suite

MULTIRUN = ("-m", "--multirun")
FILM_SIZE, FILM_EVERY = 128, 8  # pixels of a task's picture, steps between two: a few MB for MT10
PREDICTED_FROM = 16e6  # bytes of per-task gradients from which an update's memory is worth a line


def main() -> None:
    """Entry point of ``mtrl-train``."""
    arguments = sys.argv[1:]
    if "--help" in arguments or "-h" in arguments:
        print(help_text())
        return
    overrides = [argument for argument in arguments if argument not in MULTIRUN]
    many = len(overrides) < len(arguments)
    plain = not any(argument.startswith("-") for argument in overrides)
    if plain:
        # Hydra would exit with status 1 and a longer text.
        run_program(partial(sweep.check if many else _check, overrides))
    if many:
        _run_sweep(sweep.folder_of(overrides), sweep.count(overrides) if plain else 0)
    else:
        _hydra_main()


def _run_sweep(folder: Path, planned: int) -> None:
    """All runs of a sweep, and a report of them whatever ends it."""
    begin = time.time()
    sys.argv.append(f"hydra.sweep.dir={folder}")  # Hydra writes down there what it was asked for
    status: int | str | None = 0
    try:
        _hydra_main()
    except KeyboardInterrupt:
        status = SIGNALLED + signal.SIGINT
    except SystemExit as error:  # a launcher lost a run and gave up; Hydra has said why
        status = error.code
    failed = sweep.report(folder, begin, planned)
    raise SystemExit(status or (FAILED if failed else 0))


def _check(overrides: list[str]) -> None:
    resolve(compose_config(overrides), overrides)


@hydra.main(version_base="1.3", config_path="pkg://mtrl.configs", config_name="train")
def _hydra_main(config: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        sweep.run_one(list(hydra_config.overrides.task), _choices(hydra_config), config.seed)
    else:
        run_program(partial(run_here, config, list(hydra_config.overrides.task), _choices(hydra_config)))


def run_here(config: DictConfig, overrides: list[str], choices: list[str]) -> None:
    """Make the run of a composed configuration, or go on with it, in this process.

    Args:
        config: as composed.
        overrides: that it was composed from.
        choices: of the groups that name a new run's directory.
    """
    resolved = resolve(config, overrides)
    device_name = resolved.get("device")
    files, config, resume = _choose_run(resolved, overrides, choices)
    find_modules_here(*[files.path] * resume)
    if resume and files.finished():
        print(f"the run in {files.path} is finished: nothing to resume")
        return

    # Everything that can be wrong with the command is found before the first file is written.
    device = choose_device(device_name)
    training = training_config(config)
    filmed = config.get("film_evaluations", False)
    require(isinstance(filmed, bool), f"film_evaluations must be true or false, found {filmed!r}")
    if filmed:
        choose_backend()  # before MuJoCo is imported
    suite = build_suite(config)
    for name in ("evaluation_episodes", "final_episodes"):
        episodes, goals = getattr(training, name), suite.spec.num_goals
        require(episodes <= goals, f"{name} must be at most the {goals} goals of each task, found {episodes}")
    require_memory(suite.spec, training.replay_capacity, device)
    generator, rng = generators(config.seed, device)
    agent = build_agent(config, suite.spec, device, generator)
    compiling = compiles(training.compile, agent)
    film = _film(suite, agent, device) if filmed else None
    _require_room(training, config)
    if resume:
        files.lock()
    else:
        files.claim()
    with closing(files), Display(Console(), training.steps_per_task) as display:
        if not resume:
            files.write(files.config, OmegaConf.to_yaml(config))
        if not files.manifest.exists():
            facts = {"parameters": agent.parameter_counts()}
            sizes = {"obs_size": suite.spec.obs_size, "action_size": suite.spec.action_size}
            files.write_manifest(manifest(device, config.seed, suite.describe() | sizes, facts))
        counts = ", ".join(f"{name} {count:,}" for name, count in agent.parameter_counts().items())
        display.message(f"run: {files.path}")
        display.message(f"{suite.spec.num_tasks} tasks on {device}; parameters: {counts}")
        gradients = 4 * suite.spec.num_tasks * sum(agent.parameter_counts().values())  # bytes, about
        # The prediction takes seconds: small networks fit anyway.
        memory = predict_memory(config, suite.spec) if gradients > PREDICTED_FROM else None
        if memory is not None:
            display.message(f"agent and update: {memory / 1e6:.0f} MB at most")
        if compiling:
            display.message("the first updates take a minute or two: PyTorch compiles the gradients")
        trainer = Trainer(suite, agent, training, files, display, device, generator, rng, film)
        if resume:
            trainer.resume()
        else:
            trainer.logger.hyperparameters(_hyperparameters(config))
        trainer.train()
    if trainer.signal is not None:
        print(f"interrupted at step {trainer.step}; to go on: python scripts/train.py resume={files.path}")
        raise SystemExit(SIGNALLED + trainer.signal)


def _film(suite: Suite, agent: Agent, device: torch.device) -> Callable[[], bytes]:
    name = suite.describe()["suite"]
    require(
        isinstance(suite, MetaWorldSuite), f"film_evaluations is for Meta-World, found {name}; leave it false"
    )
    assert isinstance(suite, MetaWorldSuite)
    return partial(gif, suite, on_host(agent, device), size=FILM_SIZE, every=FILM_EVERY)


def _hyperparameters(config: DictConfig) -> dict[str, bool | int | float | str]:
    """What sets runs apart, flat, as TensorBoard takes it."""
    container: Any = OmegaConf.to_container(config)
    options = learning_options(container)
    plain = {name: "null" if value is None else value for name, value in options.items()}
    return {"seed": config.seed, **plain}


def _require_room(training: TrainingConfig, config: DictConfig) -> None:
    """Raise for options of an environment or an agent that ask for larger batches or a larger replay."""
    copies, steps = config.env.get("copies", 1), config.agent.get("inner_steps", 1)
    require(
        copies <= training.replay_capacity,
        f"replay_capacity must hold one step of all copies, {copies}, found {training.replay_capacity}",
    )
    require(
        steps <= training.batch_size,
        f"inner_steps must be at most batch_size, {training.batch_size}, found {steps}: "
        "every inner step needs transitions of its own",
    )


def _choices(hydra_config: HydraConf) -> list[str]:
    return [hydra_config.runtime.choices[leaf] for leaf in LEAVES]


def _choose_run(
    config: DictConfig, overrides: list[str], choices: list[str]
) -> tuple[RunDirectory, DictConfig, bool]:
    """Where to write, with which configuration, and whether the run is there already."""
    resume, run_dir = config.get("resume"), config.get("run_dir")
    if resume is not None and resume != "auto":
        others = [override for override in overrides if not override.startswith(("resume=", "device="))]
        require(not others, f"resume takes the run's own configuration: remove {' '.join(others)}")
        files = RunDirectory(Path(resume))
        files.require_started()
        require(not files.finished(), f"the run in {files.path} is finished: nothing to resume")
        return files, load_config(files), True
    folder = Path("runs") / "_".join(choices)
    run_dir = None if run_dir is None else Path(run_dir)
    if resume == "auto":
        begun = newest_in(folder, config) if run_dir is None else begun_in(run_dir, config)
        if begun is not None:
            return begun, load_config(begun), True
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return RunDirectory(run_dir or folder / f"{now}-seed{config.seed}"), config, False


if __name__ == "__main__":
    main()
