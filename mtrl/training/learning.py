"""Stores what environments said and updates the agent from it, each as one program of the device."""

from __future__ import annotations

from functools import partial

import torch

from mtrl.replay import Packet, Replay
from mtrl.runs.logger import Logger
from mtrl.training.compiling import Update
from mtrl.training.graphs import Program, Recorder
from mtrl.training.nonfinite import NonfiniteGuard
from mtrl.training.staging import Staging, form_of
from mtrl.types import BoolArray, FloatArray


class Learning:
    """Makes programs of storing, and of sampling, update, judgement and the log's sums.

    Args:
        update: the agent's.
        replay: where transitions are stored and sampled.
        guard: judges updates.
        logger: sums their metrics.
        batch_size: B, transitions of each task in an update.
        device: of the agent and the replay.
        recorder: None for plain calls.
    """

    def __init__(
        self,
        update: Update,
        replay: Replay,
        guard: NonfiniteGuard,
        logger: Logger,
        batch_size: int,
        device: torch.device,
        recorder: Recorder | None,
    ) -> None:
        self._update = update
        self.replay = replay
        self.guard = guard
        self.logger = logger
        self.batch_size = batch_size
        self.device = device
        self.recorder = recorder
        self._step = torch.full((), -1, dtype=torch.int64, device=device)  # the environments', on the device
        self._known_step = -1  # what is there
        self._programs = {
            diagnose: Program(partial(self._learn, diagnose), recorder) for diagnose in (False, True)
        }
        self._staging: Staging | None = None
        self._store_program: Program | None = None
        self._moves = replay.moves

    def store(
        self,
        obs: FloatArray,
        action: FloatArray,
        reward: FloatArray,
        next_obs: FloatArray,
        terminated: BoolArray,
    ) -> None:
        """Store a transition of every task and copy, arrays [K, n, ...]."""
        packet = self.replay.plan(obs, action, reward, next_obs, terminated)
        if self.recorder is not None and self.replay.moves != self._moves:
            self.recorder.forget()
        self._moves = self.replay.moves
        # The first addition has no transitions before it, which makes it smaller than all others.
        if self._staging is None or self._store_program is None or self._staging.form != form_of(packet):
            self._staging = Staging(packet, self.device)
            self._store_program = Program(partial(self._store, self._staging), self.recorder)
        self._staging.fill(packet)
        self._store_program()
        self._staging.queued()

    def update(self, step: int, diagnose: bool) -> None:
        """Update the agent once, at ``step`` of the environments."""
        if step != self._known_step:
            self._step.fill_(step)
            self._known_step = step
        self._programs[diagnose]()

    def _store(self, staging: Staging) -> None:
        staging.transfer()
        self.replay.store(Packet(*staging.tensors))

    def _learn(self, diagnose: bool) -> None:
        self.guard.remember()
        batch = self.replay.sample(self.batch_size)
        self.logger.add(self.guard.judge(self._update(batch, diagnose), self._step))
