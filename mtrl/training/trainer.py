"""Runs the training loop: environments, replay, updates, logging, evaluation, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from mtrl.errors import DivergenceError, EnvironmentFailedError, EpisodesLostError
from mtrl.replay import Replay
from mtrl.runs.checkpoint import require_loadable, state_errors
from mtrl.runs.directory import RunDirectory
from mtrl.runs.logger import Logger
from mtrl.training.acting import Acting
from mtrl.training.compiling import configure, recorder
from mtrl.training.config import TrainingConfig
from mtrl.training.episode_statistics import EpisodeTracker
from mtrl.training.evaluation import Evaluation, evaluate
from mtrl.training.exploring import Exploration
from mtrl.training.handovers import Handovers
from mtrl.training.learning import Learning
from mtrl.training.nonfinite import NonfiniteGuard
from mtrl.training.progress import Display
from mtrl.training.signals import Interruption
from mtrl.training.trainer_state import load_state, state_of
from mtrl.types import Agent, FloatArray, Step, Suite


class Trainer:
    """Trains one agent on one suite and leaves a run directory behind.

    Args:
        suite: gives training and evaluation environments.
        agent: acts and learns.
        config: see :class:`~mtrl.training.config.TrainingConfig`.
        files: where the run is written.
        display: shows the progress.
        device: where the agent and the replay live.
        generator: the one that the agent and the replay draw from, so that checkpoints hold its state.
        rng: source of the warm-up's random actions.
        record_video: makes a GIF of the policy at work, for every evaluation.
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
        record_video: Callable[[], bytes] | None = None,
    ) -> None:
        self.spec = suite.spec
        self.agent = agent
        self.config = config
        self.files = files
        self.display = display
        self.device = device
        self.generator = generator
        self.rng = rng
        self.record_video = record_video
        self.env = self._open(suite)
        self.replay = Replay(suite.spec, config.replay_capacity, device, generator, self.env.copies)
        display.message(
            f"replay: {config.replay_capacity} transitions per task, {self.replay.num_bytes / 1e6:.0f} MB"
        )
        self.evaluation_env = suite.evaluation_env()
        self.handovers = Handovers(suite.spec, self.env.copies, suite, agent)
        self.guard = NonfiniteGuard(agent, suite.spec.task_names, config.on_divergence)
        self.logger = Logger(files, suite.spec.task_names)
        configure(agent, config, device, display.message, config.updates(self.env.copies))
        if hasattr(agent, "describe_gradients"):
            display.message(agent.describe_gradients())
        self.recording = recorder(agent, config, device, generator, display.message)
        shape = (suite.spec.num_tasks, self.env.copies, suite.spec.action_size)
        self.exploration = Exploration(agent, config.exploration_rate, shape, generator, device)
        self.acting = Acting(self.exploration, device, self.recording)
        self.learning = Learning(
            agent.update, self.replay, self.guard, self.logger, config.batch_size, device, self.recording
        )
        self.episodes = self._tracker()
        self.step = 0  # environment steps of one task
        self.updates = 0
        self.updates_due = 0.0  # not yet made: a fraction below one
        self.steps_since_refill = 0  # vector steps sent since the replay was empty
        self.evaluated = 0  # the step of the last evaluation
        self.success: float | None = None  # of the last evaluation
        self.obs: Any = None  # [K, n, O], what to act on next; None: episodes are to be started
        self.saved_at = time.perf_counter()
        self.saving = 0.0  # seconds that checkpoints took since the last entry of the log

    def _open(self, suite: Suite) -> Any:
        """The training environments."""
        return suite.training_env()

    def _tracker(self) -> Any:
        """What counts the episodes of the training environments."""
        return EpisodeTracker(self.spec.task_names, self.env.copies)

    def train(self, interruption: Interruption) -> Evaluation | None:
        """Train to ``steps_per_task``; return the final evaluation, or None where the run was stopped.

        Args:
            interruption: entered; a signal stops the run, and so does a display that can show no more.

        Raises:
            EnvironmentFailedError: if the environments cannot go on; a checkpoint is written first.
            StorageError: if the disk does not take what is to be written.
        """
        try:
            return self._train(interruption)
        except KeyboardInterrupt:
            if interruption.insisted:
                raise
            self.save()
            return None
        except EnvironmentFailedError:
            if self.step > 0:
                self.save()
            raise
        finally:
            self.logger.close()
            self.env.close()
            self.evaluation_env.close()

    def _train(self, interruption: Interruption) -> Evaluation:
        config = self.config
        if self.obs is None:
            self.obs = self._reset()
        require_loadable(state_of(self))  # sooner than at the first checkpoint
        self.display.message(self.env.summary())
        since, steps, updates = time.perf_counter(), self.step, self.updates
        while self.step < config.steps_per_task:
            # Nothing is in flight here, and all that was due is done unless an evaluation was cut short.
            if self._due(config.evaluation_interval) and self.evaluated < self.step:
                before = time.perf_counter()
                self._evaluate(config.evaluation_episodes, interruption, final=False)
                since += time.perf_counter() - before
                self.save()
            self._step()
            if self._due(config.log_interval):
                elapsed = time.perf_counter() - since
                self._log(elapsed, self.step - steps, self.updates - updates)
                since, steps, updates = time.perf_counter(), self.step, self.updates
            if interruption.requested or self.display.failure is not None:
                raise KeyboardInterrupt
            if time.perf_counter() - self.saved_at > 60 * config.checkpoint_minutes:
                self.save()
        self.save()
        self.display.message(f"final evaluation: {config.final_episodes} episodes of each task")
        return self._evaluate(config.final_episodes, interruption, final=True)

    def _step(self) -> None:
        """Act, learn and store once; where a worker is lost, until that succeeds."""
        step = None
        while step is None:
            obs = self._reset() if self.obs is None else self.obs  # [K, n, O]
            action = self._act(obs)
            self.env.send(action)
            self._learn()  # while the environments step: from what was stored before
            step = self._receive()
        # The true next observation, and termination without truncation.
        self.learning.store(obs, action, step.reward, step.next_obs, step.terminated)
        self.episodes.add(step)
        self.obs = step.obs
        self.step += self.env.copies
        self.display.advance(self.step)

    def _due(self, interval: int) -> bool:
        """Whether the last vector step reached or crossed a multiple of ``interval``."""
        return self.step // interval > (self.step - self.env.copies) // interval

    def _act(self, obs: FloatArray) -> FloatArray:
        """Actions [K, n, A] for observations [K, n, O]."""
        if self.step < self.config.warmup_steps * self.env.copies:
            shape = (*obs.shape[:2], self.spec.action_size)
            return self.rng.uniform(-1, 1, shape).astype(np.float32)
        action = self.acting(obs)
        try:
            return self.handovers.acted(action, self.step)
        except DivergenceError:
            self.guard.check()  # an update may have been the first that was not finite
            raise

    def _reset(self) -> Any:
        with self.handovers.named():
            return self.handovers.observed(self.env.reset(), self.step)

    def _receive(self) -> Step | None:
        """The outcome of the actions sent; None if it is lost and every episode starts again."""
        try:
            with self.handovers.named():
                return self.handovers.stepped(self.env.receive(), self.step)
        except EpisodesLostError as error:
            self.display.message(f"step {self.step}: {error}")
            self.episodes.forget()
            self.obs = None
            return None

    def _learn(self) -> None:
        self.steps_since_refill += 1
        if self.steps_since_refill <= self.config.warmup_steps:
            return
        self.updates_due += self.config.updates_per_step
        while self.updates_due >= 1:
            self.updates_due -= 1
            self.learning.update(self.step, diagnose=self.updates % self.config.conflict_interval == 0)
            self.updates += 1

    def _log(self, elapsed: float, steps: int, updates: int) -> None:
        steps_per_second = steps * self.spec.num_tasks / elapsed
        host = {
            "total_steps": self.step * self.spec.num_tasks,
            "updates": self.updates,
            "time/steps_per_second": steps_per_second,
            "time/updates_per_second": updates / elapsed,
            "time/checkpoint_share": self.saving / elapsed,
            **self.guard.check(),
            **self.episodes.report(),
        }
        self.saving = 0.0
        self.logger.flush(self.step, host)
        self.display.report(self.step, steps_per_second, updates / elapsed, self.success)

    def _evaluate(self, episodes: int, interruption: Interruption, *, final: bool) -> Evaluation:
        with interruption.immediate(), self.handovers.named():
            evaluation = evaluate(
                self.agent, self.evaluation_env, self.spec, episodes, self.device, self.display.message
            )
            video = None if self.record_video is None else self.record_video()
        self.success, self.evaluated = evaluation.mean_success, self.step
        total = self.step * self.spec.num_tasks
        record = {"total_steps": total, "updates": self.updates, "final": final, **evaluation.as_record()}
        record |= getattr(self.evaluation_env, "facts", {})
        self.logger.evaluation(self.step, record, video)
        self.display.evaluation(self.step, evaluation)
        return evaluation

    def save(self) -> None:
        """Write a checkpoint from which :meth:`resume` goes on as if nothing had happened."""
        before = time.perf_counter()
        self.guard.check()
        state = state_of(self)
        if self.config.checkpoint_replay:
            state["replay"] = self.files.replay.write(self.replay)
        self.files.save(self.step, state, self.config.keep_checkpoints)
        self.saved_at = time.perf_counter()
        self.saving += self.saved_at - before

    def resume(self) -> None:
        """Load the newest whole checkpoint of the run directory; start at step 0 where there is none.

        Where no checkpoint has a whole replay, the policy first refills an empty one for
        ``warmup_steps`` vector steps.
        """
        state = self.files.newest_with_replay(self.device, self.replay, self.display.message)
        if state is None:
            self.files.rewind(None)
            self.display.message("no checkpoint yet: starting at step 0")
            return
        with state_errors(f"the checkpoint of step {state['step']} in {self.files.path}"):
            load_state(self, state)
        self.files.rewind(state)
        if self.obs is None:
            self.episodes.forget()
        elif not torch.equal(torch.as_tensor(self.obs).cpu(), state["obs"].cpu()):
            self.display.message(
                "the environments do not repeat their episodes to the last bit here (another processor or "
                "library?): the run goes on, but not exactly as it would have"
            )
        self.display.message(f"resuming at step {self.step} with {self.replay.size} transitions per task")
