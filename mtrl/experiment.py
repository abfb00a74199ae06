"""Makes a run of training a Python object, which ``train.py`` builds from a command."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from mtrl.aggregators import Aggregator
from mtrl.analysis.log_entries import read_manifest
from mtrl.config.build import build_suite, predict_memory, resolve
from mtrl.config.compose import compose_choices
from mtrl.config.given import give
from mtrl.config.instantiate import TARGET
from mtrl.config.learning_options import hyperparameters, plain
from mtrl.config.literals import named
from mtrl.config.parts import Parts, build_parts
from mtrl.config.resume import choose_run, names_of
from mtrl.devices import choose_device, current, total_memory
from mtrl.errors import UsageError, require
from mtrl.products import Products, float32_products
from mtrl.replay import replay_bytes
from mtrl.runs.hook import LoggerHook
from mtrl.runs.manifest import computing, differences, manifest
from mtrl.training.evaluation import Evaluation
from mtrl.training.progress import Display
from mtrl.training.signals import RunInterruptedError
from mtrl.training.threads import choose_threads, flop_of_update, threads
from mtrl.training.trainer import Trainer
from mtrl.types import Suite

PREDICTED_FROM = 16e6  # bytes of per-task gradients from which an update's memory is worth a line

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
        named_dir = resolved.get("run_dir") is not None
        where = str(self.run_dir) if named_dir else f"{self.run_dir.parent} that is not finished"
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
        self._files, self.config, self.begun = choose_run(resolved, overrides, names)
        self._objects = objects
        self._console = display if isinstance(display, Console) else Console(quiet=not display)

    @property
    def run_dir(self) -> Path:
        """Where the run is written."""
        return self._files.path

    def train(self) -> Evaluation | None:
        """Run to the last step; called again after an interruption, go on.

        Returns:
            The final evaluation; None where the run was finished before.

        Raises:
            RunInterruptedError: a ``KeyboardInterrupt``, after Ctrl-C or SIGTERM; a checkpoint is written.
            UsageError: for what does not fit together, before the first file is written.
            EnvironmentFailedError: if the environments cannot go on; a checkpoint is written first.
            StorageError: if the disk does not take what is to be written.
        """
        if self.begun and self._files.finished():
            self._console.print(
                f"the run in {self.run_dir} is finished: nothing to resume",
                soft_wrap=True,
                markup=False,
                highlight=False,
            )
            return None
        device = choose_device(self._device)
        # Aggregators draw from PyTorch's own generators: the caller finds them as they were.
        with torch.random.fork_rng([device] if device.type == "cuda" else []), current(device):
            try:
                return self._train_on(device)
            except torch.OutOfMemoryError as error:
                raise UsageError(self._out_of_memory(device)) from error

    def _train_on(self, device: torch.device) -> Evaluation | None:
        parts = build_parts(self.config, device, self._objects)
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
        if resume:
            self._require_same_suite(suite)
            files.lock()
        else:
            files.claim()
        self.begun = True
        with closing(files), Display(self._console, training.steps_per_task) as display:
            if not resume:
                files.write(files.config, OmegaConf.to_yaml(self.config))
            today = self._manifest(parts, products)
            if not files.manifest.exists():
                files.write_manifest(today)
            self._announce(parts, display)
            display.message(computing(today))
            if changed := differences(before, today):
                display.message(
                    f"this run began with {changed}: it goes on, but not exactly as it would have"
                )
            trainer = Trainer(
                suite, agent, training, files, display, device, parts.generator, parts.rng, parts.recorder
            )
            if resume:
                trainer.resume()
            else:
                trainer.logger.hyperparameters(hyperparameters(self.config))
            trainer.logger.attach(parts.hook, plain(self.config), trainer.step, display.message)
            evaluation = trainer.train()
            if evaluation is not None:
                display.finished(trainer.step, evaluation, files.path)
        if trainer.signal is not None:
            raise RunInterruptedError(trainer.signal, trainer.step, files.path)
        return evaluation

    def _out_of_memory(self, device: torch.device) -> str:
        spec = build_suite(self.config, self._objects).spec
        update = predict_memory(self.config, spec, self._objects)
        parts = [] if update is None else [f"agent and update {update / 1e9:.1f} GB at most"]
        parts.append(f"the replay {replay_bytes(spec, self.config.replay_capacity) / 1e9:.1f} GB")
        return (
            f"{device} has not enough free memory, of {total_memory(device) / 1e9:.1f} GB in all: "
            f"{', '.join(parts)}; choose a smaller batch_size, task_chunk or replay_capacity, or "
            "gradients=layers"
        )

    def _require_same_suite(self, suite: Suite) -> None:
        """Raise where a suite that only Python can give is not the one that began the run."""
        if "env" not in self._objects or not self._files.manifest.exists():
            return
        before = read_manifest(self._files.manifest)["suite"]
        today = json.loads(json.dumps(_description(suite)))
        others = sorted(name for name in before.keys() | today.keys() if before.get(name) != today.get(name))
        changed = [name for name in others if name != "versions"]  # of libraries, which may be newer
        require(
            not changed,
            f"env is not the suite that the run in {self.run_dir} began with: it differs in "
            f"{', '.join(changed)}; give the same one, or choose another run_dir",
        )

    def _manifest(self, parts: Parts, products: Products) -> dict[str, Any]:
        facts = {"parameters": parts.agent.parameter_counts()}
        suite = _description(parts.suite)
        return manifest(parts.device, products, self.config.seed, suite, facts)

    def _announce(self, parts: Parts, display: Display) -> None:
        spec, sizes = parts.suite.spec, parts.agent.parameter_counts()
        counts = ", ".join(f"{name} {count:,}" for name, count in sizes.items())
        display.message(f"run: {self.run_dir}")
        for place in self._objects:
            name = OmegaConf.select(self.config, place)[TARGET]
            display.message(f"{place}: only Python can resume this run, for no configuration can name {name}")
        display.message(f"{spec.num_tasks} tasks on {parts.device}; parameters: {counts}")
        gradients = 4 * spec.num_tasks * sum(sizes.values())  # bytes, about
        # The prediction takes seconds: small networks fit anyway.
        memory = predict_memory(self.config, spec, self._objects) if gradients > PREDICTED_FROM else None
        if memory is not None:
            display.message(f"agent and update: {memory / 1e6:.0f} MB at most")
        if parts.compiling:
            display.message("the first updates take a minute or two: PyTorch compiles them")


def _description(suite: Suite) -> dict[str, Any]:
    return suite.describe() | {"obs_size": suite.spec.obs_size, "action_size": suite.spec.action_size}
