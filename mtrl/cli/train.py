"""Trains a multi-task agent:  python scripts/train.py env=mt10 aggregator=cagrad seed=0  (see --help)."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mtrl.cli.ending import next_command
from mtrl.cli.help import asks_for_help, help_text
from mtrl.cli.program import FAILED, SIGNALLED, find_modules_here, run_program
from mtrl.config import sweep
from mtrl.config.compose import compose_choices
from mtrl.config.literals import literal, named
from mtrl.config.resume import names_of
from mtrl.experiment import Experiment
from mtrl.training.signals import RunInterruptedError

MULTIRUN = ("-m", "--multirun")


def main() -> None:
    """Entry point of ``mtrl-train``."""
    arguments = sys.argv[1:]
    if asks_for_help(arguments):
        width = os.get_terminal_size().columns if sys.stdout.isatty() else None
        run_program(lambda: print(help_text(arguments, width)))
        return
    overrides = [argument for argument in arguments if argument not in MULTIRUN]
    many = len(overrides) < len(arguments)
    if many:
        plain = not _asks_hydra(overrides)
        if plain:
            # Hydra would exit with status 1 and a longer text.
            run_program(partial(sweep.check, overrides))
        _run_sweep(sweep.folder_of(overrides), sweep.count(overrides) if plain else 0)
    elif _asks_hydra(overrides):
        _hydra_main()
    else:  # composed once; Hydra's own program would compose it twice more
        run_program(partial(_run_alone, overrides))


def _asks_hydra(overrides: list[str]) -> bool:
    """Whether there is an option for Hydra itself, such as ``--cfg job``."""
    return any(override.startswith("-") for override in overrides)


def _run_sweep(folder: Path, planned: int) -> None:
    """All runs of a sweep, and a report of them whatever ends it."""
    begin = time.time()
    # Hydra writes down there what it was asked for.
    sys.argv.append(f"hydra.sweep.dir={literal(str(folder))}")
    status: int | str | None = 0
    try:
        _hydra_main()
    except KeyboardInterrupt:
        status = SIGNALLED + signal.SIGINT
    except SystemExit as error:  # a launcher lost a run and gave up; Hydra has said why
        status = error.code
    failed = sweep.report(folder, begin, planned)
    raise SystemExit(status or (FAILED if failed else 0))


def _run_alone(overrides: list[str]) -> None:
    config, choices = compose_choices(overrides)
    run_here(config, overrides, names_of(config, choices, named(overrides)))


@hydra.main(version_base="1.3", config_path="pkg://mtrl.configs", config_name="train")
def _hydra_main(config: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    overrides = list(hydra_config.overrides.task)
    names = names_of(config, hydra_config.runtime.choices, named(overrides))
    if hydra_config.mode == RunMode.MULTIRUN:
        sweep.run_one(overrides, names, config.seed)
    else:
        run_program(partial(run_here, config, overrides, names))


def run_here(config: DictConfig, overrides: list[str], names: list[str]) -> None:
    """Make the run of a composed configuration, or go on with it, in this process.

    Args:
        config: as composed.
        overrides: that it was composed from.
        names: that a new run's folder is named by.
    """
    run = Experiment.composed(config, overrides, names)
    find_modules_here(*[run.run_dir] * run.begun)
    try:
        if run.train() is not None:
            print(f"next: {next_command('evaluate', str(run.run_dir))}")
    except RunInterruptedError as error:
        print(f"interrupted at step {error.step}; to go on: python scripts/train.py resume={error.run_dir}")
        raise SystemExit(SIGNALLED + error.signal) from None


if __name__ == "__main__":
    main()
