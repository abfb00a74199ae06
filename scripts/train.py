"""Train a multi-task agent:  python scripts/train.py env=mt10 aggregator=cagrad seed=0  (see --help)."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mtrl.devices import choose_device
from mtrl.display import Display
from mtrl.errors import require
from mtrl.manifest import manifest
from mtrl.run_directory import RunDirectory
from mtrl.training import Trainer
from scripts import sweep
from scripts.assembly import (
    LEAVES,
    build_agent,
    build_suite,
    generators,
    load_config,
    predict_memory,
    resolve,
    training_config,
)
from scripts.command_line import SIGNALLED, compose_config, help_text, run_program
from scripts.unfinished import begun_in, newest_in

MULTIRUN = ("-m", "--multirun")
PREDICTED_FROM = 16e6  # bytes of per-task gradients from which an update's memory is worth a line


def main() -> None:
    """Entry point of ``mtrl-train``."""
    sys.path.append(str(Path.cwd()))  # a user's aggregator may lie beside where the command is typed
    arguments = sys.argv[1:]
    if "--help" in arguments or "-h" in arguments:
        print(help_text())
        return
    overrides = [argument for argument in arguments if argument not in MULTIRUN]
    many = len(overrides) < len(arguments)
    if not any(argument.startswith("-") for argument in overrides):
        # Hydra would exit with status 1 and a longer text.
        run_program(partial(sweep.check if many else _check, overrides))
    begin = time.time()
    if many:  # Hydra writes down there what it was asked for
        sys.argv.append(f"hydra.sweep.dir={sweep.folder_of(overrides)}")
    _hydra_main()
    if many:
        sweep.report(sweep.folder_of(overrides), begin)


def _check(overrides: list[str]) -> None:
    compose_config(overrides)


@hydra.main(version_base="1.3", config_path="pkg://configs", config_name="train")
def _hydra_main(config: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        sweep.run_one(list(hydra_config.overrides.task), _choices(hydra_config), config.seed)
    else:
        run_program(partial(_run, config))


def _run(config: DictConfig) -> None:
    device_name = config.device
    files, config, resume = _choose_run(config)
    if resume and files.finished():
        print(f"the run in {files.path} is finished: nothing to resume")
        return

    # Everything that can be wrong with the command is found before the first file is written.
    device = choose_device(device_name)
    training = training_config(config)
    suite = build_suite(config)
    for name in ("evaluation_episodes", "final_episodes"):
        episodes, goals = getattr(training, name), suite.spec.num_goals
        require(episodes <= goals, f"{name} must be at most the {goals} goals of each task, found {episodes}")
    generator, rng = generators(config.seed, device)
    agent = build_agent(config, suite.spec, device, generator)
    if resume:
        files.lock()
    else:
        files.claim()
    with closing(files), Display(Console(), training.steps_per_task) as display:
        if not resume:
            files.write(files.config, OmegaConf.to_yaml(config))
        if not files.manifest.exists():
            facts = {"parameters": agent.parameter_counts()}
            files.write_manifest(manifest(device, config.seed, suite.describe(), facts))
        counts = ", ".join(f"{name} {count:,}" for name, count in agent.parameter_counts().items())
        display.message(f"run: {files.path}")
        display.message(f"{suite.spec.num_tasks} tasks on {device}; parameters: {counts}")
        gradients = 4 * suite.spec.num_tasks * sum(agent.parameter_counts().values())  # bytes, about
        # The prediction takes seconds: small networks fit anyway.
        memory = predict_memory(config, suite.spec) if gradients > PREDICTED_FROM else None
        if memory is not None:
            display.message(f"agent and update: {memory / 1e6:.0f} MB at most")
        trainer = Trainer(suite, agent, training, files, display, device, generator, rng)
        if resume:
            trainer.resume()
        trainer.train()
    if trainer.signal is not None:
        print(f"interrupted at step {trainer.step}; to go on: python scripts/train.py resume={files.path}")
        raise SystemExit(SIGNALLED + trainer.signal)


def _choices(hydra_config: HydraConf) -> list[str]:
    return [hydra_config.runtime.choices[leaf] for leaf in LEAVES]


def _choose_run(config: DictConfig) -> tuple[RunDirectory, DictConfig, bool]:
    """Where to write, the configuration without interpolations, and whether the run is there already."""
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    if config.resume is not None and config.resume != "auto":
        others = [override for override in overrides if not override.startswith(("resume=", "device="))]
        require(not others, f"resume takes the run's own configuration: remove {' '.join(others)}")
        files = RunDirectory(Path(config.resume))
        files.require_started()
        require(not files.finished(), f"the run in {files.path} is finished: nothing to resume")
        return files, load_config(files), True
    folder = Path("runs") / "_".join(_choices(hydra_config))
    run_dir = None if config.run_dir is None else Path(config.run_dir)
    resolved = resolve(config, overrides)
    if config.resume == "auto":
        begun = newest_in(folder, resolved) if run_dir is None else begun_in(run_dir, resolved)
        if begun is not None:
            return begun, load_config(begun), True
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    return RunDirectory(run_dir or folder / f"{now}-seed{config.seed}"), resolved, False


if __name__ == "__main__":
    main()
