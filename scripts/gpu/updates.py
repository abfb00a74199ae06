"""Times updates of many configurations on a GPU:  python -m gpu.updates FOLDER PART PARTS SECONDS SECONDS.

Several processes each prepare every PARTS-th configuration from PART on, which is mostly compiling, for the
first number of seconds. When all are ready, or after the second number, they time theirs, one at a time. Rows
of JSON are appended to FOLDER/updates.jsonl.
"""

from __future__ import annotations

import fcntl
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.update import built, random_batch, updating
from benchmarks.xla import XlaUpdate
from mtrl.types import SuiteSpec

BURSTS, BURST_SECONDS = 5, 0.15
LISTED = 25  # kernels, by their time
EAGER = ("compile=false", "cudagraphs=false", "precision=fp32")
GRAPH = ("compile=false", "cudagraphs=true", "precision=fp32")
FULL = ("compile=true", "cudagraphs=true", "precision=tf32")
FULL_FP32 = ("compile=true", "cudagraphs=true", "precision=fp32")
FULL_BF16 = ("compile=true", "cudagraphs=true", "precision=bf16")
JAX, JAX_FP32 = "jax", "jax fp32"  # the same update by XLA, for the mean
WAYS = {
    "eager": EAGER,
    "graph": GRAPH,
    "default": FULL,
    "fp32": FULL_FP32,
    "bf16": FULL_BF16,
    JAX: (),
    JAX_FP32: (),
}
METHODS = (
    *("mean", "cagrad", "pcgrad", "mgda", "moco", "gradvac", "gradops", "nash_mtl"),
    *("cagrad_fast", "moco_cagrad"),
)


class Case(NamedTuple):
    """One configuration: K tasks, B samples of each, layers, an aggregator, and how it is computed."""

    tasks: int
    batch: int
    width: int
    layers: int
    method: str
    way: str
    agent: str = "sac"

    def options(self) -> list[str]:
        """The configuration as the command line would say it."""
        widths = ",".join([str(self.width)] * self.layers)
        hidden = [f"agent.network.hidden=[{widths}]"] if self.width else []
        return [f"agent={self.agent}", f"aggregator={self.method}", *hidden, *WAYS[self.way]]


def cases() -> list[Case]:
    """List what is timed, the most telling first."""
    mt10 = [Case(10, 128, 400, 3, method, "default") for method in METHODS]
    plain = [Case(10, 128, 400, 3, method, way) for method in METHODS for way in ("eager", "graph")]
    mt50 = [
        Case(50, 128, 400, 3, method, "default") for method in ("mean", "cagrad", "pcgrad", "mgda", "moco")
    ]
    jax = [Case(10, 128, width, 3, "mean", JAX) for width in (400, 1024, 4096)]
    jax += [Case(1, 256, 256, 2, "mean", JAX), Case(50, 128, 400, 3, "mean", JAX)]
    jax += [Case(10, 128, 400, 3, "mean", JAX_FP32)]
    one = [Case(1, 256, 256, 2, "mean", way) for way in ("default", "graph", "eager")]
    wide = [
        Case(10, 128, width, 3, method, "default")
        for width in (4096, 1024, 2048)
        for method in ("mean", "cagrad")
    ]
    other = [Case(10, 128, 400, 3, method, way) for method in ("mean", "cagrad") for way in ("fp32", "bf16")]
    wide16 = [Case(10, 128, width, 3, "mean", "bf16") for width in (1024, 4096)]
    agents = [Case(10, 128, 0, 0, "mean", "default", agent) for agent in ("moore", "soft_modular", "paco")]
    return [
        *mt10[:4],
        *jax[:1],
        *one[:1],
        *mt50[:2],
        *wide,
        *jax[1:],
        *mt10[4:],
        *mt50[2:],
        *other,
        *plain,
        *one[1:],
        *wide16,
        *agents,
    ]


class Prepared:
    """Is one configuration whose first updates are done.

    Attributes:
        row: what is known of it.
    """

    def __init__(self, case: Case, device: torch.device) -> None:
        self.row: dict[str, Any] = case._asdict()
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        spec = SuiteSpec(tuple(f"task-{index}" for index in range(case.tasks)), 39, 4, 500, 50)
        batch = random_batch(spec, case.batch, device)
        self.by_xla = case.way in (JAX, JAX_FP32)
        if self.by_xla:
            agent = built(spec, device, case.options())
            program = XlaUpdate(agent, batch, "default" if case.way == JAX else "float32")
            self.call: Callable[[], Any] = program.begin
            self.wait: Callable[[], Any] = program.wait
        else:
            self.call = partial(updating(spec, device, case.options()), batch, False)
            self.wait = partial(torch.cuda.synchronize, device)
        begin = time.perf_counter()
        self.burst(1)
        self.row["first_s"] = time.perf_counter() - begin
        self.burst(6)  # graphs are recorded by then
        self.row["gib"] = (torch.cuda.max_memory_allocated(device) - before) / 2**30

    def burst(self, count: int) -> float:
        """Milliseconds of an update, of ``count`` between two waits."""
        self.wait()
        begin = time.perf_counter()
        for _ in range(count):
            self.call()
        self.wait()
        return 1e3 * (time.perf_counter() - begin) / count

    def time(self) -> dict[str, Any]:
        """Time it, and count its kernels; return the row."""
        count = max(3, min(400, int(1e3 * BURST_SECONDS / self.burst(3))))
        self.row["ms"] = statistics.median(self.burst(count) for _ in range(BURSTS))
        if not self.by_xla:
            self.row |= launches(self.call)
        return self.row


def launches(call: Callable[[], Any]) -> dict[str, Any]:
    """Count the kernels of one call, and the milliseconds that they take on the device."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        call()
        torch.cuda.synchronize()
    kernels = [event for event in profiler.events() if str(event.device_type).endswith("CUDA")]
    times: dict[str, list[float]] = {}
    for event in kernels:
        times.setdefault(event.name[:90], []).append(event.device_time)
    for name, values in sorted(times.items(), key=lambda item: -sum(item[1]))[:LISTED]:
        print(f"{sum(values):9.1f} us in {len(values):4} of {name}")
    return {"kernels": len(kernels), "device_ms": sum(event.device_time for event in kernels) / 1e3}


def prepare(
    chosen: list[Case], device: torch.device, end: float
) -> tuple[list[Prepared], list[dict[str, Any]]]:
    """Prepare configurations until ``end``; return those that failed as rows."""
    torch._dynamo.config.cache_size_limit = 64  # of one function's kinds of arguments
    ready, failed = [], []
    for case in chosen:
        if time.monotonic() > end:
            break
        try:
            ready.append(Prepared(case, device))
        except Exception as error:  # the others are worth their time
            failed.append({**case._asdict(), "error": f"{type(error).__name__}: {error}"[:300]})
            traceback.print_exc()
        print(case, f"{end - time.monotonic():.0f} s left", flush=True)
    return ready, failed


def main() -> None:
    """Prepare a part of the cases, wait for the others, and time."""
    folder, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    began, (first, second) = time.monotonic(), (float(value) for value in sys.argv[4:6])
    ready, failed = prepare(cases()[part::parts], torch.device("cuda"), began + first)
    (folder / f"ready-{part}").touch()
    while len(list(folder.glob("ready-*"))) < parts and time.monotonic() < began + second:
        time.sleep(0.2)
    for prepared in ready:
        with (folder / "updates.jsonl").open("a", encoding="utf-8") as lines:
            fcntl.flock(lines, fcntl.LOCK_EX)  # alone on the card
            print(prepared.row)
            row = prepared.time()
            lines.write(json.dumps(row) + "\n")
    with (folder / "updates.jsonl").open("a", encoding="utf-8") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        lines.writelines(json.dumps(row) + "\n" for row in failed)


if __name__ == "__main__":
    main()
