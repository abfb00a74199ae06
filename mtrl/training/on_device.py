"""Trains on environments that live on the learner's device: nothing of a vector step passes the host."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from mtrl.replay import Packet, Replay
from mtrl.training.evaluation import Evaluation
from mtrl.training.graphs import Program, Recorder
from mtrl.training.signals import Interruption
from mtrl.training.staging import Staging, form_of
from mtrl.training.trainer import Trainer
from mtrl.types import DeviceEnv, DeviceSuite, Policy, Suite, SuiteSpec


class DeviceTrainer(Trainer):
    """A :class:`~mtrl.training.trainer.Trainer` of a :class:`~mtrl.types.DeviceSuite`."""

    def _open(self, suite: Suite) -> DeviceEnv:
        if (warning := getattr(suite, "warning", None)) is not None:
            self.display.message(warning)
        return cast(DeviceSuite, suite).worlds(self.device)

    def _reset(self) -> Tensor:
        return cast(Tensor, self.env.reset())

    def _tracker(self) -> DeviceEpisodes:
        self._choosing = Choosing(self.env, self.exploration, self.generator, self.recording)
        tracker = DeviceEpisodes(self.spec, self.env)
        self._storing = Storing(self.env, self.replay, tracker, self._choosing.obs, self.recording)
        return tracker

    def _evaluate(self, episodes: int, interruption: Interruption, *, final: bool) -> Evaluation:
        evaluation = super()._evaluate(episodes, interruption, final=final)
        note = getattr(self.evaluation_env, "note", None)
        if final and note is not None:
            self.display.message(f"{note}: mtrl-evaluate --episodes {episodes} {self.files.path}")
        return evaluation

    def _step(self) -> None:
        """Act, learn and store once."""
        env = self.env
        begun, last = env.begun, env.last
        self._choosing(random=self.step < self.config.warmup_steps * env.copies)
        env.simulate()
        self._learn()  # from what was stored before, as where environments have processes of their own
        env.join()
        self._storing(begun, last)
        self.obs = env.obs
        self.step += env.copies
        self.display.advance(self.step)


class Choosing:
    """Chooses actions and has the environments take them up, as one program.

    Args:
        env: whose actions.
        policy: acts with noise.
        generator: of random actions.
        recorder: None for plain calls.

    Attributes:
        obs: [K, n, O], what the last actions were chosen for.
    """

    def __init__(
        self, env: DeviceEnv, policy: Policy, generator: torch.Generator, recorder: Recorder | None
    ) -> None:
        self.obs = torch.zeros_like(env.obs)
        self._env = env
        self._policy = policy
        self._generator = generator
        self._programs = {random: Program(partial(self._act, random), recorder) for random in (False, True)}

    def __call__(self, random: bool) -> None:
        """Act; at ``random`` in place of the policy."""
        self._programs[random]()

    def _act(self, random: bool) -> None:
        env = self._env
        self.obs.copy_(env.obs)
        if random:
            env.action.uniform_(-1, 1, generator=self._generator)
        else:
            env.action.copy_(self._policy.act(self.obs, deterministic=False))
        env.act()


class DeviceEpisodes:
    """Sums the returns and successes of the training episodes where they are, until a report asks.

    Args:
        spec: names of the tasks.
        env: whose episodes.
    """

    def __init__(self, spec: SuiteSpec, env: DeviceEnv) -> None:
        self._names = spec.task_names
        self._env = env
        self._return = torch.zeros_like(env.reward, dtype=torch.float64)  # [K, n], of the running episodes
        self._success = torch.zeros_like(env.success)  # [K, n]
        self._ended = torch.zeros(2, spec.num_tasks, dtype=torch.float64, device=env.reward.device)
        self._count = torch.zeros((), dtype=torch.float64, device=env.reward.device)  # in each task

    def add(self, last: bool) -> None:
        """Count one step of every environment; the ``last`` one ends all episodes."""
        self._return += self._env.reward
        self._success |= self._env.success
        if last:
            self._ended += torch.stack((self._return.sum(1), self._success.double().sum(1)))
            self._count += self._env.copies
            self.forget()

    def forget(self) -> None:
        """Drop the running episodes, which will not be finished."""
        self._return.zero_()
        self._success.zero_()

    def state_dict(self) -> dict[str, Any]:
        """The running episodes, and the outcomes not yet reported."""
        return {
            "return": self._return,
            "success": self._success,
            "ended": self._ended,
            "count": self._count,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        for name, tensor in self.state_dict().items():
            tensor.copy_(state[name])

    def report(self) -> dict[str, float]:
        """Average return and success, per task, over the episodes that ended since the last call."""
        count = float(self._count)
        if count == 0:
            return {}
        returns, successes = (self._ended / count).tolist()
        self._ended.zero_()
        self._count.zero_()
        means = {f"train/return/{name}": value for name, value in zip(self._names, returns, strict=True)}
        shares = zip(self._names, successes, strict=True)
        return means | {f"train/success/{name}": value for name, value in shares}


class Storing:
    """Observes what became of the actions and stores it, as one program.

    Args:
        env: to observe.
        replay: where transitions go.
        episodes: counts them.
        obs: [K, n, O], what the actions were chosen for.
        recorder: None for plain calls.
    """

    def __init__(
        self, env: DeviceEnv, replay: Replay, episodes: DeviceEpisodes, obs: Tensor, recorder: Recorder | None
    ) -> None:
        self._env = env
        self._replay = replay
        self._episodes = episodes
        self._obs = obs
        self._recorder = recorder
        self._places: Staging | None = None
        self._programs: dict[bool, Program] = {}
        self._moves = replay.moves

    def __call__(self, begun: bool, last: bool) -> None:
        """Store a transition of every world.

        Args:
            begun: whether it is the first of an episode.
            last: whether it is the last of an episode.
        """
        places = self._replay.plan_places(follows=not begun)
        if self._recorder is not None and self._replay.moves != self._moves:
            self._recorder.forget()
        self._moves = self._replay.moves
        if self._places is None or self._places.form != form_of(places):
            self._places = Staging(places, self._obs.device)
            self._programs = {
                ending: Program(partial(self._store, self._places, ending), self._recorder)
                for ending in (False, True)
            }
        self._places.fill(places)
        self._programs[last]()
        self._places.queued()

    def _store(self, places: Staging, last: bool) -> None:
        env = self._env
        places.transfer()
        env.observe(last)
        self._episodes.add(last)
        reward = env.reward[..., None]
        rows = torch.cat((self._obs, env.action, reward, torch.zeros_like(reward)), dim=-1)  # no task ends
        waiting, newest, slots = places.tensors
        self._replay.store(Packet(rows, waiting, newest, slots, env.next_obs.flatten(0, 1)))
