"""Runs a worker process: ``python -m mtrl.envs.worker SOCKET MEMORY``, two inherited descriptors.

A message asks for the commands in the shared memory to be carried out; the answer is empty, or what went
wrong. The process ends when the other end of the socket closes, as it does when the parent is killed.
"""

from __future__ import annotations

import mmap
import pickle
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from mtrl.envs.shared_memory import SharedMemory, Stepper


def main() -> None:
    """Serve until the parent is gone."""
    # The parent decides what they mean; schedulers send them to every process of a job.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    socket, descriptor = (int(argument) for argument in sys.argv[1:])
    connection = Connection(socket)
    try:
        advance = _advance_of(connection, descriptor)
        while True:
            connection.recv_bytes()
            connection.send_bytes(_attempt(advance).encode())
    except (EOFError, ConnectionError):
        pass


def _advance_of(connection: Connection, descriptor: int) -> Callable[[], None]:
    """What carries the commands out; where the tasks' modules cannot be imported here, it raises that."""
    pickled = connection.recv_bytes()
    try:
        recipes, sizes, worker = pickle.loads(pickled)
        memory = SharedMemory(mmap.mmap(descriptor, SharedMemory.size(*sizes)), *sizes)
        return Stepper(recipes, memory, worker).advance
    except Exception as error:  # whatever a module may raise
        reason = error

    def fail() -> None:
        raise reason

    return fail


def _attempt(advance: Callable[[], None]) -> str:
    try:
        advance()
    except Exception as error:  # whatever a task may raise
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    main()
