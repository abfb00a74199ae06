"""Steps a vector of environments: in this process, or in W worker processes."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

import numpy as np

from mtrl import child_process
from mtrl.envs.shared_memory import IDLE, Command, Recipe, SharedMemory, Stepper
from mtrl.errors import EnvironmentFailedError, EpisodesLostError

SlotName = Callable[[int], str]  # what messages call the environment of a slot


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

    def close(self) -> None:
        """Nothing to end."""


class WorkerPool:
    """W processes that share memory with this one and get one message per step each.

    The memory has no name and each process inherits it, so nothing can be left behind. A worker ends when
    this process does, however that happens. One that ends on its own, or whose environment raises, is
    replaced once.

    Args:
        recipes: one per task, picklable.
        count: N, the number of slots.
        workers: W, at least 1.
        obs_size: O.
        action_size: A.
        name: what messages call the environment of a slot.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        count: int,
        workers: int,
        obs_size: int,
        action_size: int,
        name: SlotName,
    ) -> None:
        self.workers = workers
        self._recipes = list(recipes)
        self._sizes = (count, workers, obs_size, action_size)
        self._name = name
        self._descriptor = os.memfd_create("mtrl-environments")
        os.ftruncate(self._descriptor, SharedMemory.size(*self._sizes))
        self.memory = SharedMemory(mmap.mmap(self._descriptor, SharedMemory.size(*self._sizes)), *self._sizes)
        self.memory.busy[:] = IDLE
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connections: list[Connection] = []
        self._replaced = [False] * workers
        self._asked: list[int] = []  # the workers whose answer is due
        self._end = weakref.finalize(self, _end, self._processes, self._connections, self._descriptor)
        for worker in range(workers):
            process, connection = self._start(worker)
            self._processes.append(process)
            self._connections.append(connection)

    def send(self) -> None:
        """One message to each worker that has something to do."""
        active = self.memory.owner[self.memory.command != Command.REST]
        self._asked = np.unique(active).tolist()
        for worker in self._asked:
            with suppress(ConnectionError):  # it has ended, which receive() will find out and explain
                self._connections[worker].send_bytes(b"advance")

    def receive(self) -> None:
        """Wait for the answers; see :class:`Vector`."""
        causes: dict[int, str | None] = {}
        for worker in self._asked:
            try:
                error = self._connections[worker].recv_bytes()
                causes[worker] = f"raised {error.decode()}" if error else None
            except (EOFError, ConnectionError):
                causes[worker] = self._how_it_ended(worker)
        self._asked = []
        failed = {worker: cause for worker, cause in causes.items() if cause is not None}
        if failed:
            self._replace(failed)

    def resident_bytes(self) -> list[int]:
        """Resident bytes of each worker, shared libraries included."""
        page = os.sysconf("SC_PAGE_SIZE")
        files = (Path(f"/proc/{process.pid}/statm") for process in self._processes)
        return [int(file.read_text().split()[1]) * page for file in files if file.exists()]

    def close(self) -> None:
        """End the workers."""
        self._end()

    def _start(self, worker: int) -> tuple[subprocess.Popen[bytes], Connection]:
        ours, theirs = Pipe()
        descriptors = (theirs.fileno(), self._descriptor)
        # A fresh interpreter: a fork would copy PyTorch and break CUDA, multiprocessing's spawn would run the
        # main program's imports again. One thread each, since the cores belong to the other workers.
        process = subprocess.Popen(
            child_process.command("mtrl.envs.worker", *map(str, descriptors)),
            pass_fds=descriptors,
            env=child_process.environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C on a terminal is for this process alone
        )
        theirs.close()
        ours.send((self._recipes, self._sizes, worker))
        return process, ours

    def _replace(self, failed: dict[int, str]) -> None:
        again = [worker for worker in failed if self._replaced[worker]]
        texts = []
        for worker, cause in failed.items():
            texts.append(f"worker {worker + 1} of {self.workers}, {self._where(worker)}: {cause}")
            self.memory.busy[worker] = IDLE
            _stop(self._processes[worker], self._connections[worker])
        if again:
            raise EnvironmentFailedError(f"{'; '.join(texts)}; it had already been replaced once")
        for worker in failed:
            self._replaced[worker] = True
            self._processes[worker], self._connections[worker] = self._start(worker)
        raise EpisodesLostError(f"{'; '.join(texts)}; replaced it, all episodes start anew")

    def _where(self, worker: int) -> str:
        """Name the environment that the worker was at, or those that it steps."""
        slot = int(self.memory.busy[worker])
        slots = np.flatnonzero(self.memory.owner == worker).tolist() if slot == IDLE else [slot]
        more = f" and {len(slots) - 3} more" if len(slots) > 3 else ""
        return ", ".join(map(self._name, slots[:3])) + more

    def _how_it_ended(self, worker: int) -> str:
        status = self._processes[worker].wait()
        if status >= 0:
            return f"the process ended with exit code {status}"
        return f"the process was killed by {signal.Signals(-status).name}"


def open_vector(
    recipes: Sequence[Recipe], count: int, workers: int, obs_size: int, action_size: int, name: SlotName
) -> Vector:
    """Make ``count`` slots; with 0 workers this process steps them."""
    if workers == 0:
        return InProcess(recipes, count, obs_size, action_size, name)
    return WorkerPool(recipes, count, workers, obs_size, action_size, name)


def location(vector: Vector) -> str:
    """Say where its environments live, for a person."""
    if vector.workers == 0:
        return "in this process"
    memory = vector.resident_bytes()
    shown = f", {sum(memory) / max(len(memory), 1) / 1e6:.0f} MB each" if memory else ""
    return f"{vector.workers} workers{shown}"


def _end(processes: list[subprocess.Popen[bytes]], connections: list[Connection], descriptor: int) -> None:
    for process, connection in zip(processes, connections, strict=True):
        _stop(process, connection)
    os.close(descriptor)


def _stop(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    process.kill()  # a worker has nothing to tidy up
    process.wait()
