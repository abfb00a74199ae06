"""Trains a multi-task agent:  python scripts/train.py env=mt10 aggregator=cagrad seed=0  (see --help)."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mtrl.child_process import end_with_parent
from mtrl.cli.ending import next_command
from mtrl.cli.help import asks_for_help, help_text
from mtrl.cli.program import FAILED, SIGNALLED, find_modules_here, leave, run_program
from mtrl.config.compose import compose_choices
from mtrl.config.literals import literal, named
from mtrl.config.pasted import shell_command, started_by
from mtrl.config.resume import names_of
from mtrl.config.sweep import count, of_launcher, plan
from mtrl.config.sweep_runs import report, run_one, stop, write_plan
from mtrl.config.typed import as_meant
from mtrl.errors import OutputError, require
from mtrl.experiment import Experiment
from mtrl.path_overrides import path_override
from mtrl.runs.directory import RunDirectory
from mtrl.training.signals import Interruption, RunInterruptedError, ignore_further

MULTIRUN = ("-m", "--multirun")


def main() -> None:
    """Entry point of ``mtrl-train``."""
    end_with_parent()
    run_program(_train)


def _train() -> None:
    arguments = sys.argv[1:]
    if asks_for_help(arguments):
        width = os.get_terminal_size().columns if sys.stdout.isatty() else None
        print(help_text(arguments, width))
        return
    typed = [argument for argument in arguments if argument not in MULTIRUN]
    many = len(typed) < len(arguments)
    overrides = as_meant(typed, sweep=many)
    if any(override.startswith("-") for override in overrides):  # options for Hydra, such as --cfg job
        sys.argv[1:] = ["-m"] * many + overrides
        _hydra_main()
    elif many:
        _run_sweep(overrides)
    else:  # composed once; Hydra's own program would compose it twice more
        config, choices = compose_choices(overrides)
        run_here(config, overrides, names_of(config, choices, named(overrides)))


def _run_sweep(overrides: list[str]) -> None:
    """All runs of a sweep, and a report of them whatever ends it."""
    find_modules_here()
    runs = plan(overrides)
    records = write_plan(runs, started_by())
    for_hydra = [text for text in overrides if of_launcher(text)]
    numbers = ",".join(map(str, range(len(runs))))
    # Hydra writes down there what it was asked for.
    sys.argv[1:] = ["-m", *for_hydra, f"hydra.sweep.dir={literal(str(records))}", f"+run={numbers}"]
    status: int | str | None = 0
    with Interruption() as interruption:
        try:
            # Before a launcher hears of it: some kill all that they have started.
            with interruption.immediate(partial(stop, records)):
                _hydra_main()
        except KeyboardInterrupt:
            status = SIGNALLED + (interruption.signal or signal.SIGINT)
        except SystemExit as error:  # a launcher lost a run and gave up; Hydra has said why
            status = error.code
        failed = report(records, count(overrides))
    raise SystemExit(status or (FAILED if failed else 0))


@hydra.main(version_base="1.3", config_path="pkg://mtrl.configs", config_name="train")
def _hydra_main(config: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        valid = "run" in config
        run_program(lambda: require(valid, "a sweep takes no options for Hydra itself, such as --config-dir"))
        try:
            run_one(Path(hydra_config.sweep.dir), config.run)
        except OSError as error:  # the others may fare better; this one counts as not started
            print(f"error: {error}", file=sys.stderr)
        return
    overrides = list(hydra_config.overrides.task)
    names = names_of(config, hydra_config.runtime.choices, named(overrides))
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
            print(f"next: {next_command('evaluate', run.run_dir)}")
    except RunInterruptedError as error:
        ignore_further()
        leave(SIGNALLED + error.signal, f"interrupted at step {error.step}; to go on: {_resume(run)}")
    except OutputError as error:
        finished = RunDirectory(run.run_dir).finished()
        remedy = error.remedy if finished else f"{error.remedy}; to go on: {_resume(run)}"
        raise OutputError(error.error, remedy) from error


def _resume(run: Experiment) -> str:
    return shell_command(started_by(), path_override("resume", run.run_dir))


if __name__ == "__main__":
    main()
