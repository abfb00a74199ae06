"""Steps a vector of environments: in this process, or in W worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from mtrl.envs.shared_memory import Recipe, SharedMemory, Stepper
from mtrl.envs.workers import SlotName, WorkerPool
from mtrl.errors import EnvironmentFailedError


class Vector(Protocol):
    """Carries out the commands in its memory, for the environment of every slot."""

    memory: SharedMemory
    workers: int  # 0: this process

    def send(self) -> None:
        """Start on the commands; its memory may not be touched before :meth:`receive`."""

    def receive(self) -> None:
        """Return when the commands are carried out.

        Raises:
            EpisodesLostError: if a worker ended and was replaced; every slot must be reset.
            EnvironmentFailedError: if an environment raised, or a worker ended, and no other try is left.
        """

    def resident_bytes(self) -> list[int]:
        """Resident bytes of each worker, as far as the system tells."""

    def spare(self, name: SlotName) -> Vector | None:
        """Its other slots, for environments that take turns with these; None where there are none to give."""

    def close(self) -> None:
        """End the workers; a second call does nothing."""


class InProcess:
    """Steps the environments in this process, one after the other, within :meth:`receive`."""

    workers = 0

    def __init__(
        self, recipes: Sequence[Recipe], count: int, obs_size: int, action_size: int, name: SlotName
    ) -> None:
        sizes = (count, 1, obs_size, action_size)
        self.memory = SharedMemory(np.zeros(SharedMemory.size(*sizes), np.uint8).data, *sizes)
        self._stepper = Stepper(recipes, self.memory, 0)
        self._name = name

    def send(self) -> None:
        """Nothing: the work waits for :meth:`receive`."""

    def receive(self) -> None:
        """Carry out the commands."""
        try:
            self._stepper.advance()
        except Exception as error:  # whatever a task may raise
            where = self._name(int(self.memory.busy[0]))
            raise EnvironmentFailedError(f"{where} raised {type(error).__name__}: {error}") from error

    def resident_bytes(self) -> list[int]:
        """None of its own."""
        return []

    def spare(self, name: SlotName) -> None:
        """None: nothing is saved by sharing a process with oneself."""

    def close(self) -> None:
        """Nothing to end."""


def open_vector(
    recipes: Sequence[Recipe],
    count: int,
    workers: int,
    obs_size: int,
    action_size: int,
    name: SlotName,
    spare: int = 0,
) -> Vector:
    """Make ``count`` slots, and in workers ``spare`` others; with 0 workers this process steps them."""
    if workers == 0:
        return InProcess(recipes, count, obs_size, action_size, name)
    pool = WorkerPool(recipes, count, spare, workers, obs_size, action_size)
    return pool.slots(0, count, name)


def location(vector: Vector) -> str:
    """Say where its environments live, for a person."""
    if vector.workers == 0:
        return "in this process"
    memory = vector.resident_bytes()
    shown = f", {sum(memory) / max(len(memory), 1) / 1e6:.0f} MB each" if memory else ""
    return f"{vector.workers} workers, which evaluate too{shown}"
