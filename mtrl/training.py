"""The training loop: environments, replay, updates, logging, evaluation, checkpoints."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtrl import checkpoint
from mtrl.config import TrainingConfig
from mtrl.display import Display
from mtrl.episodes import EpisodeTracker
from mtrl.errors import EnvironmentFailedError, EpisodesLostError
from mtrl.evaluation import Evaluation, evaluate
from mtrl.interruption import Interruption
from mtrl.logger import Logger
from mtrl.replay import Replay
from mtrl.run_directory import RunDirectory
from mtrl.types import Agent, FloatArray, Step, Suite, Transition


class Trainer:
    """Trains one agent on one suite and leaves a run directory behind.

    Args:
        suite: gives training and evaluation environments.
        agent: acts and learns.
        config: see :class:`~mtrl.config.TrainingConfig`.
        files: where the run is written.
        display: what a person sees.
        device: of agent and replay.
        generator: of the agent and the replay, so that its state belongs to the run's.
        rng: source of the warm-up's random actions.
    """

    def __init__(
        self,
        suite: Suite,
        agent: Agent,
        config: TrainingConfig,
        files: RunDirectory,
        display: Display,
        device: torch.device,
        generator: torch.Generator,
        rng: np.random.Generator,
    ) -> None:
        self.spec = suite.spec
        self.agent = agent
        self.config = config
        self.files = files
        self.display = display
        self.device = device
        self.generator = generator
        self.rng = rng
        self.replay = Replay(suite.spec, config.replay_capacity, device, generator)
        display.message(
            f"replay: {config.replay_capacity} transitions per task, {self.replay.num_bytes / 1e6:.0f} MB"
        )
        self.env = suite.training_env()
        self.evaluation_env = suite.evaluation_env()
        self.logger = Logger(files, suite.spec.task_names)
        self.episodes = EpisodeTracker(suite.spec.task_names, self.env.copies)
        self.step = 0  # environment steps of one task
        self.updates = 0
        self.owed = 0.0  # updates due but not yet made: a fraction below one
        self.refilled = 0  # vector steps sent since the replay was empty
        self.success: float | None = None  # of the last evaluation

    def train(self) -> Evaluation | None:
        """Run to ``steps_per_task``; the final evaluation, or None where Ctrl-C stopped the run.

        Raises:
            EnvironmentFailedError: if the environments cannot go on; a checkpoint is written first.
        """
        with Interruption() as interruption:
            try:
                evaluation = self._train(interruption)
            except KeyboardInterrupt:
                if interruption.insisted:
                    raise
                evaluation = None
            except EnvironmentFailedError:
                self.save(with_replay=True)
                raise
            finally:
                self.logger.close()
                self.env.close()
                self.evaluation_env.close()
            if interruption.requested:
                self.save(with_replay=True)
            return evaluation

    def _train(self, interruption: Interruption) -> Evaluation | None:
        config = self.config
        obs = self.env.reset()  # [K, n, O]
        self.display.message(self.env.summary())
        since, steps, updates = time.perf_counter(), self.step, self.updates
        while self.step < config.steps_per_task:
            action = self._act(obs)
            self.env.send(action)
            self._learn()  # while the environments step: from what was stored before
            step = self._receive()
            if step is None:
                obs = self.env.reset()
                continue
            self.replay.add(_transition(obs, action, step))
            self.episodes.add(step)
            obs = step.obs
            self.step += self.env.copies
            self.display.advance(self.step)
            if interruption.requested:
                return None
            if self._due(config.log_interval):
                elapsed = time.perf_counter() - since
                self._log(elapsed, self.step - steps, self.updates - updates)
                since, steps, updates = time.perf_counter(), self.step, self.updates
            if self._due(config.evaluation_interval) and self.step < config.steps_per_task:
                before = time.perf_counter()
                self._evaluate(config.evaluation_episodes, interruption, final=False)
                self.save(with_replay=False)
                since += time.perf_counter() - before
        self.save(with_replay=False)
        return self._evaluate(config.final_episodes, interruption, final=True)

    def _due(self, interval: int) -> bool:
        """Whether the last vector step reached or crossed a multiple of ``interval``."""
        return self.step // interval > (self.step - self.env.copies) // interval

    def _act(self, obs: FloatArray) -> FloatArray:
        """Actions [K, n, A] for observations [K, n, O]."""
        if self.step < self.config.warmup_steps * self.env.copies:
            shape = (*obs.shape[:2], self.spec.action_size)
            return self.rng.uniform(-1, 1, shape).astype(np.float32)
        batch = torch.from_numpy(obs).to(self.device)
        return self.agent.act(batch, deterministic=False).cpu().numpy()

    def _receive(self) -> Step | None:
        """The outcome of the actions sent; None if it is lost and every episode starts anew."""
        try:
            return self.env.receive()
        except EpisodesLostError as error:
            self.display.message(f"step {self.step}: {error}")
            self.episodes.forget()
            return None

    def _learn(self) -> None:
        self.refilled += 1
        if self.refilled <= self.config.warmup_steps:
            return
        self.owed += self.config.updates_per_step
        while self.owed >= 1:
            self.owed -= 1
            diagnose = self.updates % self.config.conflict_interval == 0
            self.logger.add(self.agent.update(self.replay.sample(self.config.batch_size), diagnose))
            self.updates += 1

    def _log(self, elapsed: float, steps: int, updates: int) -> None:
        steps_per_second = steps * self.spec.num_tasks / elapsed
        host = {
            "total_steps": self.step * self.spec.num_tasks,
            "updates": self.updates,
            "time/steps_per_second": steps_per_second,
            "time/updates_per_second": updates / elapsed,
            **self.episodes.report(),
        }
        self.logger.flush(self.step, host)
        self.display.report(self.step, steps_per_second, updates / elapsed, self.success)

    def _evaluate(self, episodes: int, interruption: Interruption, *, final: bool) -> Evaluation:
        with interruption.immediate():
            evaluation = evaluate(
                self.agent, self.evaluation_env, self.spec, episodes, self.device, self.display.message
            )
        self.success = evaluation.mean_success
        total = self.step * self.spec.num_tasks
        record = {"total_steps": total, "updates": self.updates, "final": final, **evaluation.as_record()}
        self.logger.evaluation(self.step, record)
        self.display.evaluation(self.step, evaluation)
        return evaluation

    def save(self, *, with_replay: bool) -> None:
        """Write a checkpoint; with the replay the run can go on without refilling it."""
        self.files.save(self.step, self.state_dict(), self.config.keep_checkpoints)
        if with_replay:
            checkpoint.save(self.files.replay, {"step": self.step, "replay": self.replay.state_dict()})

    def state_dict(self) -> dict[str, Any]:
        """Agent, counters and random generators; not the replay, not the environments."""
        return {
            "agent": self.agent.state_dict(),
            "updates": self.updates,
            "owed": self.owed,
            "generator": self.generator.get_state(),
            "global_rng": _global_rng_state(self.device),
            "rng": self.rng.bit_generator.state,
        }

    def resume(self) -> None:
        """Take over the last checkpoint of the run directory.

        Episodes in flight start anew. Without a replay saved at the same step, the policy first
        refills an empty one for ``warmup_steps`` vector steps.
        """
        state = self.files.load_last(self.device)
        self.files.rewind(state["step"])
        self.agent.load_state_dict(state["agent"])
        self.step, self.updates, self.owed = state["step"], state["updates"], state["owed"]
        self.generator.set_state(state["generator"].cpu())
        _set_global_rng_state(self.device, state["global_rng"].cpu())
        self.rng.bit_generator.state = state["rng"]
        if self.files.replay.exists():
            saved = checkpoint.load(self.files.replay, self.device)
            if saved["step"] == self.step:
                self.replay.load_state_dict(saved["replay"])
                self.refilled = self.step // self.env.copies
        self.display.message(f"resuming at step {self.step} with {self.replay.size} transitions per task")


def _transition(obs: FloatArray, action: FloatArray, step: Step) -> Transition:
    """What the replay stores: the true next observation, and termination without truncation."""
    fields = (obs, action, step.reward, step.next_obs, step.terminated)
    return Transition(*(torch.from_numpy(field) for field in fields))


def _global_rng_state(device: torch.device) -> Tensor:
    """State of PyTorch's own generator on ``device``, from which aggregators draw."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_global_rng_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
