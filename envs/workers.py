"""Runs W worker processes, which step the environments of training and take turns at those of evaluation."""

from __future__ import annotations

import mmap
import os
import pickle
import pickletools
import signal
import subprocess
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from mtrl import child_process
from mtrl.envs.shared_memory import IDLE, UNOWNED, Command, Recipe, SharedMemory
from mtrl.errors import EnvironmentFailedError, EpisodesLostError, UsageError, require

SlotName = Callable[[int], str]  # what messages call the environment of a slot


class WorkerSlots:
    """Some slots of a pool, which is a :class:`mtrl.envs.vector.Vector` of its own.

    Args:
        pool: whose processes step them, those of one vector at a time.
        first: of its slots.
        count: N, how many.
        name: what messages call the environment of a slot.
    """

    def __init__(self, pool: WorkerPool, first: int, count: int, name: SlotName) -> None:
        self.pool = pool
        self.workers = pool.workers
        self.memory = pool.memory.part(first, first + count)
        self.memory.owner[:] = UNOWNED
        self.first, self.count, self.name = first, count, name
        self.lost: str | None = None  # why, if episodes have ended with a worker while others were stepped
        self.closed = False

    def send(self) -> None:
        """One message to each worker that has something to do."""
        if not (self.memory.command >= Command.STEP).any():
            self.lost = None  # nothing goes on that was before
        if self.lost is None:
            self.pool.send(self)

    def receive(self) -> None:
        """Wait for the answers; see :class:`mtrl.envs.vector.Vector`."""
        if self.lost is not None:
            raise EpisodesLostError(self.lost)
        self.pool.receive(self)

    def resident_bytes(self) -> list[int]:
        """Resident bytes of each worker, shared libraries included."""
        return self.pool.resident_bytes()

    def spare(self, name: SlotName) -> WorkerSlots | None:
        """The pool's other slots, once; None where it has none."""
        return self.pool.spare_slots(name)

    def close(self) -> None:
        """End the workers, unless other slots are still in use."""
        self.memory.owner[:] = UNOWNED
        self.closed = True
        self.pool.close_unused()


class WorkerPool:
    """W processes that share memory with this one and get one message per step each.

    The memory has no name and each process inherits it, so nothing can be left behind. A worker ends when
    this process does, however that happens. One that ends on its own, or whose environment raises, is
    replaced once.

    Args:
        recipes: one per task, picklable.
        count: N, the number of slots.
        spare: of so many more, for other environments that the same processes step in turn.
        workers: W, at least 1.
        obs_size: O.
        action_size: A.

    Raises:
        UsageError: for recipes that another process cannot have.
    """

    def __init__(
        self, recipes: Sequence[Recipe], count: int, spare: int, workers: int, obs_size: int, action_size: int
    ) -> None:
        self.workers = workers
        self._recipes = list(recipes)
        _require_portable(self._recipes)
        self._sizes = (count + spare, workers, obs_size, action_size)
        self._count, self._spare = count, spare
        self._parts: list[WorkerSlots] = []
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

    def slots(self, first: int, count: int, name: SlotName) -> WorkerSlots:
        """``count`` slots from ``first`` on."""
        self._parts.append(WorkerSlots(self, first, count, name))
        return self._parts[-1]

    def spare_slots(self, name: SlotName) -> WorkerSlots | None:
        """The spare ones; None where there are none, or somebody has them."""
        taken = [part for part in self._parts if part.first == self._count and not part.closed]
        if not self._spare or taken or not self._end.alive:
            return None
        return self.slots(self._count, self._spare, name)

    def send(self, part: WorkerSlots) -> None:
        """One message to each worker that has something to do."""
        if self._asked:
            raise RuntimeError("other environments of these workers are under way: call receive() first")
        for other in self._parts:
            if other is not part:
                other.memory.command[:] = Command.REST
        active = self.memory.owner[self.memory.command != Command.REST]
        self._asked = np.unique(active).tolist()
        for worker in self._asked:
            with suppress(ConnectionError):  # it has ended, which receive() will find out and explain
                self._connections[worker].send_bytes(b"advance")

    def receive(self, part: WorkerSlots) -> None:
        """Wait for the answers to the commands of ``part``."""
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
            self._replace(failed, part)

    def resident_bytes(self) -> list[int]:
        """Resident bytes of each worker, shared libraries included."""
        page = os.sysconf("SC_PAGE_SIZE")
        files = (Path(f"/proc/{process.pid}/statm") for process in self._processes)
        return [int(file.read_text(encoding="utf-8").split()[1]) * page for file in files if file.exists()]

    def close_unused(self) -> None:
        """End the workers if no slots are in use."""
        if all(part.closed for part in self._parts):
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

    def _replace(self, failed: dict[int, str], part: WorkerSlots) -> None:
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
        lost = f"{'; '.join(texts)}; replaced it, all episodes start anew"
        for other in self._parts:
            other.lost = None if other is part else lost
        raise EpisodesLostError(lost)

    def _where(self, worker: int) -> str:
        """Name the environment that the worker was at, or those that it steps."""
        slot = int(self.memory.busy[worker])
        slots = np.flatnonzero(self.memory.owner == worker).tolist() if slot == IDLE else [slot]
        more = f" and {len(slots) - 3} more" if len(slots) > 3 else ""
        return ", ".join(map(self._name, slots[:3])) + more

    def _name(self, slot: int) -> str:
        part = next(part for part in self._parts if part.first <= slot < part.first + part.count)
        return part.name(slot - part.first)

    def _how_it_ended(self, worker: int) -> str:
        status = self._processes[worker].wait()
        if status >= 0:
            return f"the process ended with exit code {status}"
        return f"the process was killed by {signal.Signals(-status).name}"


def _end(processes: list[subprocess.Popen[bytes]], connections: list[Connection], descriptor: int) -> None:
    for process, connection in zip(processes, connections, strict=True):
        _stop(process, connection)
    os.close(descriptor)


def _stop(process: subprocess.Popen[bytes], connection: Connection) -> None:
    connection.close()
    process.kill()  # a worker has nothing to tidy up
    process.wait()


def _require_portable(recipes: list[Recipe]) -> None:
    """Raise for what cannot be pickled, and for classes that only this process finds by their names."""
    remedy = "put it at the top of a module of its own, or set env.workers=0"
    try:
        pickled = pickle.dumps(recipes)
    except Exception as error:  # whatever an object's own pickling raises
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"env.workers: other processes cannot have these tasks: {reason}; {remedy}"
        ) from error
    words = [word for _, word, _ in pickletools.genops(pickled) if isinstance(word, str)]
    if "__main__" in words:
        name = words[words.index("__main__") + 1]
        require(
            False, f"env.workers: other processes cannot import {name} of __main__, the program; {remedy}"
        )
