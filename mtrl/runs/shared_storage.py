"""Locks and syncs files of a run, and does without either where a share or a drive does not offer it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mtrl.errors import StorageError, UsageError, require

# What file systems say that do not know a call, as opposed to a disk that fails at it.
UNKNOWN_CALL = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOTTY}
NOT_OPENED = {errno.EACCES, errno.EPERM, errno.EISDIR}  # a directory, where it may be written all the same
LOOKS, LOOK = 4, 0.02  # how often, and how many seconds, another look is waited for
HOLDER = re.compile(r"process (\d+) on (\S+)(?: since (\d+))?")


def sync(descriptor: int) -> None:
    """Have an open file survive a loss of power, where its file system can promise that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in UNKNOWN_CALL:
            raise


def sync_directory(path: Path) -> None:
    """Have the names in a directory survive it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in UNKNOWN_CALL | NOT_OPENED:
            raise
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def lock(path: Path, say: Callable[[str], None]) -> int:
    """Open the file ``path`` and lock it until it is closed or this process ends.

    Without locks its text stands in for one, as far as processes of the same machine go.

    Args:
        path: of the lock.
        say: told where there are no locks.

    Returns:
        The descriptor, for :func:`unlock`.

    Raises:
        UsageError: if another process has it, or the file cannot be made.
        StorageError: if the disk takes no more.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UsageError(f"cannot write run_dir {path.parent}: {error.strerror}") from error
    try:
        _take(descriptor, path, say)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{_me()}\n".encode(), 0)
    except OSError as error:
        os.close(descriptor)
        raise StorageError(path, error) from error
    except UsageError:
        os.close(descriptor)
        raise
    return descriptor


def _take(descriptor: int, path: Path, say: Callable[[str], None]) -> None:
    holder = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
    try:
        _lock_soon(descriptor)
    except OSError as error:
        if error.errno not in UNKNOWN_CALL:
            raise UsageError(f"run_dir {path.parent} is in use by {holder}; wait for it or end it") from error
        require(
            not _at_work(holder) or _names_me(holder),
            f"run_dir {path.parent} is in use by {holder}; wait for it or end it",
        )
        say(
            f"the file system of {path.parent} has no locks ({error.strerror}): see to it that no other "
            "machine writes there"
        )


def _lock_soon(descriptor: int) -> None:
    """Lock a file; who lists runs may hold it for a moment, as :func:`is_locked`, and is waited for."""
    for _ in range(LOOKS):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(LOOK)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def unlock(descriptor: int) -> None:
    """Give the lock back."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)  # for those who have nothing but the text to go by
    os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process has the lock ``path``, as :func:`lock` would find, without keeping it."""
    holder = ""
    try:
        with path.open("rb") as file:
            holder = file.read(200).decode(errors="replace")
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:  # without locks, the text is what there is
        return _at_work(holder)
    return False


def _names_me(holder: str) -> bool:
    return holder.startswith(f"process {os.getpid()} on ")


def _at_work(holder: str) -> bool:
    """Whether the process that a lock names is one of this machine, and still there."""
    found = HOLDER.match(holder)
    if found is None or found[2] != os.uname().nodename:
        return False
    begun = _begun(int(found[1]))
    return begun is not None and begun == found[3]


def _me() -> str:
    begun = _begun(os.getpid())
    return f"process {os.getpid()} on {os.uname().nodename}" + (f" since {begun}" if begun else "")


def _begun(process: int) -> str | None:
    """When a process began, in ticks since the machine did: its number alone may be another's by now."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()[19]
