"""Checks and measures the project on a GPU:  make gpu-check, or python scripts/gpu_check.py --minutes 8.

Needs no network. What it finds stands in FOLDER/gpu_check.json and gpu_check.md, written as it goes.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from pathlib import Path

import torch
from gpu.program import Program, json_lines, run_all
from gpu.record import Record

ROOT = Path(__file__).parent.parent
LIBRARIES = ("torch", "triton", "jax", "numpy", "mujoco", "metaworld")
PREPARING = 6  # processes that compile updates at the same time
SECTIONS = ("updates", "kernels", "loop", "training")


def main() -> None:
    """Run the sections that were asked for, each in processes of its own."""
    parser = argparse.ArgumentParser(description="Check and measure this project on a GPU.")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything together (8)")
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), help="where to write (gpu-check)")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="sections (all)")
    parser.add_argument("--workers", type=int, help="processes that step environments (cores - 1)")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu_check: PyTorch finds no GPU here; nothing was measured")
    record, end = Record(arguments.out), time.monotonic() + 60 * arguments.minutes
    for fact, value in facts().items():
        record.add("machine", {"what": fact, "value": value})
    cores = len(os.sched_getaffinity(0))
    workers = arguments.workers or max(1, cores - 1)
    check = Check(record, arguments.out.resolve(), workers, end)
    for section in SECTIONS:
        if section in arguments.only:
            getattr(check, section)()


def facts() -> dict[str, str]:
    """Say what this machine is."""
    found = {name: _version(name) for name in LIBRARIES}
    device = torch.cuda.get_device_properties(0)
    memory = f"{device.total_memory / 2**30:.0f} GiB"
    return {
        "gpu": f"{device.name}, {memory}",
        "cuda": str(torch.version.cuda),
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        **found,
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


class Check:
    """Runs the sections: each reads what programs of their own wrote, and keeps it.

    Args:
        record: where rows go.
        folder: for the programs' files.
        workers: processes that step environments.
        end: on the monotonic clock, when all must be done.
    """

    def __init__(self, record: Record, folder: Path, workers: int, end: float) -> None:
        self.record = record
        self.folder = folder
        self.workers = workers
        self.end = end

    def left(self, share: float = 1.0) -> float:
        """Return a share of the seconds that are left."""
        return max(20.0, share * (self.end - time.monotonic()))

    def _python(self, name: str, *arguments: str) -> Program:
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts"), *sys.path[1:]])}
        return Program([sys.executable, *arguments], ROOT, self.folder / f"{name}.log", environment)

    def updates(self) -> None:
        """Run the tests that need a GPU while updates are compiled, then time these one by one."""
        first, second = self.left(0.3), self.left(0.33)
        # A machine without network may lack a solver that some tests compare with.
        tests = ["-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", "--tb=short", "-rf", "tests"]
        tests.append("--continue-on-collection-errors")
        programs = [self._python("tests", *tests)]
        for part in range(PREPARING):
            numbers = (str(part), str(PREPARING), str(first), str(second))
            programs.append(self._python(f"updates-{part}", "-m", "gpu.updates", str(self.folder), *numbers))
        began = time.monotonic()
        codes = run_all(programs, self.left(0.5))
        last = [line for line in programs[0].output().splitlines() if line.strip()][-1:]
        row = {"exit status": codes[0], "seconds": time.monotonic() - began, "last line": " ".join(last)}
        self.record.add("tests marked gpu", row)
        for row in json_lines(self.folder / "updates.jsonl"):
            self.record.add("updates", row)

    def kernels(self) -> None:
        """Time the kernels of the K x K problems against the same problems in PyTorch."""
        file = self.folder / "kernels.json"
        program = self._python("kernels", "scripts/benchmark.py", "kernels", "--json", str(file))
        run_all([program], self.left(0.2))
        for row in json_lines(file):
            self.record.add("kernels", row)

    def loop(self) -> None:
        """Time the parts of a whole vector step on MT10, with environments in processes of their own."""
        for widths in (["400"] * 3, ["1024"] * 3):
            name = f"loop-{widths[0]}"
            file = self.folder / f"{name}.json"
            options = ["--env", "mt10", "--device", "cuda", "--copies", "2", "--workers", str(self.workers)]
            options += ["--aggregator", "mean", "--hidden", *widths, "--steps", "400", "--json", str(file)]
            run_all([self._python(name, "scripts/benchmark.py", "loop", *options)], self.left(0.4))
            for row in json_lines(file):
                micros = {part: 1e6 * seconds for part, seconds in row["parts"].items()}
                steps = {"whole": 1e6 * row["whole"], "steps_per_second": 1 / row["whole"]}
                self.record.add("loop, microseconds", {"width": widths[0], **micros, **steps})

    def training(self) -> None:
        """Train MT10 for the rest of the time and keep success over wall clock."""
        run = self.folder / "mt10"
        options = ["experiment=quick_mt10", "aggregator=mean", "seed=0", "device=cuda", f"run_dir={run}"]
        options += [f"env.workers={self.workers}", "agent.network.hidden=[400,400,400]", "batch_size=128"]
        options += ["agent.normalize_rewards=true", "agent.reward_scale=1.0", "agent.learning_rate=3e-4"]
        options += ["steps_per_task=2000000", "evaluation_interval=20000", "replay_capacity=200000"]
        program = self._python("training", "-m", "mtrl.cli.train", *options)
        run_all([program], self.left())
        for row in json_lines(run / "evaluations.jsonl"):
            self.record.add(
                "training",
                {"steps_per_task": row["step"], "mean_success": row["mean_success"], "final": row["final"]},
            )
        for row in json_lines(run / "metrics.jsonl")[-1:]:
            rates = {name: row[name] for name in row if name.startswith("time/")}
            self.record.add("training speed", {"steps_per_task": row["step"], **rates})


if __name__ == "__main__":
    main()
