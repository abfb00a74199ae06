"""Watches a run under way:  python scripts/soak.py RUN_DIR --seconds 120

Prints memory, open files and shared memory of the run and its workers over time, and how fast each grows.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from mtrl.cli.program import run_program
from mtrl.errors import require
from mtrl.runs.directory import RunDirectory


def main() -> None:
    """Parse, watch, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="directory of a run under way")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to watch (120)")
    parser.add_argument("--interval", type=float, default=5.0, help="between two looks (5)")
    arguments = parser.parse_args()
    run_program(lambda: _watch(arguments))


def _watch(arguments: argparse.Namespace) -> None:
    learner = _process(RunDirectory(arguments.run))
    samples: list[dict[str, float]] = []
    start = time.monotonic()
    while time.monotonic() - start < arguments.seconds and Path(f"/proc/{learner}").exists():
        samples.append({"seconds": time.monotonic() - start, **measure(learner)})
        print("  ".join(f"{name} {value:.1f}" for name, value in samples[-1].items()), flush=True)
        time.sleep(arguments.interval)
    require(len(samples) > 1, f"the run in {arguments.run} ended before it could be watched")
    print("per hour, fitted to the second half:")
    for name, slope in slopes(samples[len(samples) // 2 :] if len(samples) > 3 else samples).items():
        print(f"  {name:<16} {slope:+.1f}")


def measure(learner: int) -> dict[str, float]:
    """Measure resident memory in MB, open files, and KB of shared memory of a process and its children."""
    workers = [
        int(pid)
        for pid in Path(f"/proc/{learner}/task/{learner}/children").read_text(encoding="utf-8").split()
    ]
    files = [file for pid in [learner, *workers] for file in Path(f"/proc/{pid}/fd").iterdir()]
    return {
        "learner MB": _resident(learner),
        "workers MB": sum(map(_resident, workers)),
        "open files": float(len(files)),
        "shared KB": _shared(files),
    }


def slopes(samples: list[dict[str, float]]) -> dict[str, float]:
    """Fit the growth per hour of each quantity, by least squares."""
    seconds = [sample["seconds"] for sample in samples]
    names = [name for name in samples[0] if name != "seconds"]
    return {
        name: 3600 * float(np.polyfit(seconds, [sample[name] for sample in samples], 1)[0]) for name in names
    }


def _resident(pid: int) -> float:
    return (
        int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / 1e6
    )


def _shared(files: list[Path]) -> float:
    """Sum, in KB, the open files that lie in memory, each counted once."""
    sizes = {}
    for file in files:
        with suppress(OSError):  # closed since it was listed
            if str(file.readlink()).startswith(("/memfd:", "/dev/shm/")):
                found = file.stat()
                sizes[found.st_dev, found.st_ino] = found.st_size
    return sum(sizes.values()) / 1e3


def _process(files: RunDirectory) -> int:
    lock = files.path / "lock"
    found = re.match(r"process (\d+) ", lock.read_text(encoding="utf-8")) if lock.exists() else None
    require(
        found is not None and Path(f"/proc/{found.group(1)}").exists(),
        f"no run is under way in {files.path}; start one there first",
    )
    assert found is not None
    return int(found.group(1))


if __name__ == "__main__":
    main()
