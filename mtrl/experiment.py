"""Makes a run of training a Python object, which ``train.py`` builds from a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mtrl.aggregators import Aggregator
from mtrl.analysis.log_entries import read_final, read_manifest
from mtrl.config.announcement import announcement
from mtrl.config.build import resolve
from mtrl.config.changes import LENGTH, for_device, require_as_begun
from mtrl.config.compose import compose_choices
from mtrl.config.given import give
from mtrl.config.instantiate import TARGET
from mtrl.config.learning_options import hyperparameters, plain
from mtrl.config.literals import named
from mtrl.config.parts import Parts, build_parts, manifest_of, out_of_memory
from mtrl.config.resume import choose_run, names_of
from mtrl.devices import choose_device, current
from mtrl.errors import OutputError, StorageError, UsageError, require
from mtrl.path_overrides import resuming
from mtrl.products import Products, float32_products
from mtrl.runs.directory import claim_free
from mtrl.runs.hook import LoggerHook
from mtrl.runs.manifest import computing, computing_changes, differences, with_history
from mtrl.training.evaluation import Evaluation
from mtrl.training.on_device import DeviceTrainer
from mtrl.training.progress import Display
from mtrl.training.signals import Interruption, RunInterruptedError
from mtrl.training.threads import choose_threads, flop_of_update, threads
from mtrl.training.trainer import Trainer
from mtrl.types import Suite

Options = Mapping[str, Any]
Maker = Callable[..., Any]  # a class, a functools.partial of one, or a function


class Experiment:
    """One training run, and the directory that it writes.

    A part is the name of a preset, as on the command line; or its options, with the preset's name under
    "preset" where it is not the default one; or a class of your own, a ``functools.partial`` of it, or a
    function that makes one. A finished suite or aggregator will do as well, of which each side gets a copy.
    An agent's networks are options of it: ``agent={"network": MyNetwork}``. Environments of Gymnasium's are
    the tasks of a suite: ``env={"preset": "gymnasium", "tasks": ["Hopper-v5", my_tasks.Reach]}``.

    Options of a part are all that its class takes by name, whether or not its preset lists them.

    Options have the names and defaults of ``configs/train.yaml``; :class:`mtrl.TrainingConfig` says what most
    of them mean. What can be named is written to ``config.yaml`` as a command would have it. A class of
    ``__main__``, a closure or a finished object cannot: only Python can resume its run, by the same call with
    ``run_dir`` and ``resume=True``.

    Threads share PyTorch's global generator, which some aggregators draw from: one run at a time in a
    process, and nothing else may draw from it meanwhile, if the run is to be repeatable.

    Args:
        env: the suite.
        agent: what learns.
        aggregator: for the gradients of actor and critics.
        actor_aggregator: for the actor's alone.
        critic_aggregator: for the critics' alone.
        logger: what is told what the run logs, a :class:`mtrl.runs.hook.LoggerHook`.
        experiment: the name of a preset of all parts and options; what else is given goes before it.
        seed: of everything random.
        device: auto, cpu, cuda or cuda:N.
        run_dir: where to write.
        resume: True goes on with the run that the same call began, "auto" too where there is one; the
            directory of a run continues it with its own configuration.
        display: where to show progress; False for nowhere.
        options: of the loop, such as ``steps_per_task=100_000``.

    Raises:
        UsageError: for an unknown name, with the valid ones listed, and a value of the wrong kind.
    """

    def __init__(
        self,
        *,
        env: str | Options | Maker | Suite | None = None,
        agent: str | Options | Maker | None = None,
        aggregator: str | Options | Maker | Aggregator | None = None,
        actor_aggregator: str | Options | Maker | Aggregator | None = None,
        critic_aggregator: str | Options | Maker | Aggregator | None = None,
        logger: str | Options | Maker | LoggerHook | None = None,
        experiment: str | None = None,
        seed: int | None = None,
        device: str | None = None,
        run_dir: str | Path | None = None,
        resume: bool | str | Path | None = None,
        display: bool | Console = True,
        **options: Any,
    ) -> None:
        begun = resume is True
        places = {
            "seed": seed,
            "device": device,
            "run_dir": run_dir,
            "resume": "auto" if begun else resume or None,
        }
        parts = {
            "env": env,
            "agent": agent,
            "aggregator": aggregator,
            "actor_aggregator": actor_aggregator,
            "critic_aggregator": critic_aggregator,
            "logger": logger,
        }
        told = {name: value for name, value in places.items() if value is not None}
        given = give(parts, told | options, experiment)
        config, choices = compose_choices(given.overrides)
        given.place_in(config)
        replaced = named(given.overrides) | {f"{place}.{TARGET}" for place in given.nodes}
        beside = [*given.overrides, *(f"{place}=..." for place in given.nodes)]
        resolved = resolve(config, beside)
        self._prepare(resolved, beside, names_of(resolved, choices, replaced), given.objects, display)
        where = str(self.run_dir) if self._named else f"{self.run_dir.parent} that is not finished"
        require(self.begun or not begun, f"resume=True: this call began no run in {where}")

    @classmethod
    def composed(cls, config: DictConfig, overrides: Sequence[str], names: Sequence[str]) -> Experiment:
        """The run of a configuration that Hydra composed.

        Args:
            config: as composed.
            overrides: that it was composed from.
            names: that a new run's folder is named by.
        """
        run = cls.__new__(cls)
        run._prepare(resolve(config, list(overrides)), overrides, names, {}, True)
        return run

    def _prepare(
        self,
        resolved: DictConfig,
        overrides: Sequence[str],
        names: Sequence[str],
        objects: Mapping[str, Any],
        display: bool | Console,
    ) -> None:
        self._device = resolved.get("device")
        self._threads = resolved.get("threads", "auto")
        self._files, self.config, self.begun, self._changes = choose_run(resolved, overrides, names)
        self._named = resolved.get("run_dir") is not None
        self._objects = objects
        self._console = display if isinstance(display, Console) else Console(quiet=not display)

    @property
    def run_dir(self) -> Path:
        """Where the run is written."""
        return self._files.path

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.begun and self._files.finished() and LENGTH not in self._changes

    def train(self) -> Evaluation | None:
        """Run to the last step; called again after an interruption, go on.

        Returns:
            The final evaluation. Where the run was finished before, it is read from the log, which has the
            rates and mean returns of the tasks and not which of the episodes succeeded; this is said.

        Raises:
            RunInterruptedError: a ``KeyboardInterrupt``, after Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 and 2; a
                checkpoint is written.
            UsageError: for what does not fit together; a new run leaves no file behind.
            EnvironmentFailedError: if the environments cannot go on; a checkpoint is written first.
            StorageError: if the disk does not take what is to be written.
            OutputError: if the display can show no more; a checkpoint is written first.
        """
        if self.finished:
            self._say(
                f"the run in {self.run_dir} is finished: nothing to resume; to train it further: "
                f"{resuming(self.run_dir)} {LENGTH}=..., more than its {self.config.get(LENGTH)}"
            )
            final = read_final(self._files.evaluations)
            return None if final is None else Evaluation.from_record(final)
        device = choose_device(self._device)
        # Aggregators draw from PyTorch's own generators: the caller finds them as they were.
        with torch.random.fork_rng([device] if device.type == "cuda" else []), current(device):
            try:
                return self._train_on(device)
            except torch.OutOfMemoryError as error:
                raise UsageError(out_of_memory(self.config, device, self._objects)) from error

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False)

    def _train_on(self, device: torch.device) -> Evaluation | None:
        config, notes = for_device(self.config, device.type) if self.begun else (self.config, [])
        for note in notes:
            self._say(note)
        parts = build_parts(config, device, self._objects)
        before = self._before()
        with (
            threads(self._thread_count(parts, before)),
            float32_products(device, before.get("products")) as products,
        ):
            return self._train(parts, products, before)

    def _before(self) -> dict[str, Any]:
        """The manifest of the run that goes on."""
        return read_manifest(self._files.manifest) if self.begun and self._files.manifest.exists() else {}

    def _thread_count(self, parts: Parts, before: dict[str, Any]) -> int:
        samples = parts.suite.spec.num_tasks * parts.training.batch_size
        return choose_threads(
            self._threads,
            device=parts.device,
            flop=flop_of_update(sum(parts.agent.parameter_counts().values()), samples),
            workers=getattr(parts.suite, "workers", 0),
            before=before.get("torch_threads"),
        )

    def _train(self, parts: Parts, products: Products, before: dict[str, Any]) -> Evaluation | None:
        training, suite, agent, device = parts.training, parts.suite, parts.agent, parts.device
        files, resume = self._files, self.begun
        today = manifest_of(parts, products, self.config.seed)
        if resume:
            require_as_begun(self.config, before, today["suite"], self.run_dir)
            files.lock(self._say)
        elif self._named:
            files.claim(self._say)
        else:
            files = self._files = claim_free(files.path, self._say)
        self.begun = True
        with (
            closing(files),
            self._given_back_if_nothing_came_of_it(resume),
            Interruption() as interruption,
            Display(self._console, training.steps_per_task) as display,
        ):
            if not resume:
                files.write(files.config, OmegaConf.to_yaml(self.config))
            if not files.manifest.exists():
                files.write_manifest(today)
            for line in announcement(self.run_dir, self.config, parts, self._objects):
                display.message(line)
            display.message(computing(today))
            if changed := differences(before, today):
                display.message(
                    f"this run began with {changed}: it goes on, but not exactly as it would have"
                )
            trainer_class = DeviceTrainer if hasattr(suite, "worlds") else Trainer
            trainer = trainer_class(
                suite, agent, training, files, display, device, parts.generator, parts.rng, parts.recorder
            )
            if resume:
                final = read_final(self._files.evaluations)
                trainer.resume()
                self._record_changes(before, today, trainer.step, final)
            else:
                trainer.logger.hyperparameters(hyperparameters(self.config))
            trainer.logger.attach(parts.hook, plain(self.config), trainer.step, display.message)
            evaluation = trainer.train(interruption)
            if evaluation is not None:
                display.finished(trainer.step, evaluation, files.path)
        if evaluation is None and interruption.signal is not None:
            raise RunInterruptedError(interruption.signal, trainer.step, files.path)
        if display.failure is not None:
            done = "the run is finished" if evaluation is not None else f"stopped at step {trainer.step}"
            raise OutputError(display.failure, f"{done}, with a checkpoint")
        return evaluation

    @contextmanager
    def _given_back_if_nothing_came_of_it(self, resume: bool) -> Iterator[None]:
        """Give the directory of a new run back where it fails before anything is recorded.

        The corrected command, or the same one, then finds it as it was.
        """
        try:
            yield
        except Exception as error:
            # A full disk leaves the run to be gone on with, as its message says.
            if not resume and not isinstance(error, StorageError) and self._files.give_back():
                self.begun = False
            raise

    def _record_changes(
        self, before: dict[str, Any], today: dict[str, Any], step: int, final: dict[str, Any] | None
    ) -> None:
        """Write down what is no longer as it was when the run began, or was resumed before."""
        if changes := self._changes | computing_changes(before, today):
            self._files.write_manifest(with_history(before or today, today, step, changes, final))
            self._files.write(self._files.config, OmegaConf.to_yaml(self.config))
            self._changes = {}
