"""Says what this process may use of its machine: cores and memory, in a container those of the container."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/")
V1_UNLIMITED = 2**60  # bytes; version 1 has no word for it, and writes a number near 2^63


def available_cores(root: Path = ROOT) -> int:
    """Count the cores that this process may keep busy: its affinity, or less where a quota limits it.

    Args:
        root: where the file system starts.
    """
    cores = len(os.sched_getaffinity(0))
    for folder in _groups(root, "cpu"):
        version1 = _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        for words in (_words(folder / "cpu.max"), version1):
            if len(words) == 2 and words[0].isdigit():  # "max" or -1 otherwise
                cores = min(cores, int(words[0]) // max(int(words[1]), 1))
    return max(1, cores)


def available_memory(root: Path = ROOT) -> int:
    """Return the bytes of memory that this process may fill: the machine's, or less in a container."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for folder in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):  # versions 2 and 1
            (limit, *_) = _words(folder / name) or ["max"]
            if limit.isdigit() and int(limit) < V1_UNLIMITED:
                memory = min(memory, int(limit))
    return memory


def _groups(root: Path, controller: str) -> list[Path]:
    """List the control groups of this process that limit it, from its own up to the outermost.

    A container may see itself as the outermost, under a path that is not there: then only that counts.
    """
    folders = []
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        if number == "0" and not controllers:
            mounts = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            mounts = [f"sys/fs/cgroup/{name}" for name in dict.fromkeys((controllers, controller))]
        else:
            continue
        inside = Path(place.lstrip("/"))
        folders += [root / mount / part for mount in mounts for part in (inside, *inside.parents)]
    return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:  # another system, or nothing that we may read
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
