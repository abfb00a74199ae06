"""Times updates of many configurations on one device:  python -m gpu.updates FILE SECONDS [PART PARTS].

Each configuration is one line of JSON in FILE, appended as it comes. With PART and PARTS it only compiles, every
PARTS-th configuration from PART on, into PyTorch's cache, so that several processes can do that at once.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.update import random_batch, updating
from mtrl.types import SuiteSpec

BURSTS, BURST_SECONDS = 5, 0.15
EAGER = ("compile=false", "cudagraphs=false", "precision=fp32")
GRAPH = ("compile=false", "cudagraphs=true", "precision=fp32")
FULL = ("compile=true", "cudagraphs=true", "precision=tf32")
FULL_FP32 = ("compile=true", "cudagraphs=true", "precision=fp32")
FULL_BF16 = ("compile=true", "cudagraphs=true", "precision=bf16")
WAYS = {"eager": EAGER, "graph": GRAPH, "default": FULL, "fp32": FULL_FP32, "bf16": FULL_BF16}
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
    one = [Case(1, 256, 256, 2, "mean", way) for way in ("default", "graph", "eager")]
    wide = [
        Case(10, 128, width, 3, method, "default")
        for width in (1024, 2048, 4096)
        for method in ("mean", "cagrad")
    ]
    other = [Case(10, 128, 400, 3, method, way) for method in ("mean", "cagrad") for way in ("fp32", "bf16")]
    wide16 = [Case(10, 128, width, 3, "mean", "bf16") for width in (1024, 4096)]
    agents = [Case(10, 128, 0, 0, "mean", "default", agent) for agent in ("moore", "soft_modular", "paco")]
    return [*mt10[:4], *one[:1], *mt50[:2], *wide, *mt10[4:], *mt50[2:], *other, *plain, *one[1:], *wide16, *agents]


def measure(case: Case, device: torch.device) -> dict[str, Any]:
    """Time one configuration: milliseconds an update in a burst between two synchronisations."""
    row: dict[str, Any] = case._asdict()
    spec = SuiteSpec(tuple(f"task-{index}" for index in range(case.tasks)), 39, 4, 500, 50)
    torch.compiler.reset()
    torch.cuda.reset_peak_memory_stats(device)
    update = updating(spec, device, case.options())
    batch = random_batch(spec, case.batch, device)

    def burst(count: int) -> float:
        torch.cuda.synchronize(device)
        begin = time.perf_counter()
        for _ in range(count):
            update(batch, False)
        torch.cuda.synchronize(device)
        return 1e3 * (time.perf_counter() - begin) / count

    row["first_s"] = burst(1) / 1e3
    burst(5)
    count = max(3, min(400, int(1e3 * BURST_SECONDS / burst(3))))
    row["ms"] = statistics.median(burst(count) for _ in range(BURSTS))
    row["gib"] = torch.cuda.max_memory_allocated(device) / 2**30
    row |= launches(lambda: update(batch, False))
    return row


def launches(call: Callable[[], Any]) -> dict[str, Any]:
    """Count the kernels of one call, and the milliseconds that they take on the device."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        call()
        torch.cuda.synchronize()
    kernels = [event for event in profiler.events() if str(event.device_type).endswith("CUDA")]
    return {"kernels": len(kernels), "device_ms": sum(event.device_time for event in kernels) / 1e3}


def main() -> None:
    """Time the cases, or compile a part of them."""
    file, seconds, *part = sys.argv[1:]
    end, device = time.monotonic() + float(seconds), torch.device("cuda")
    chosen = cases()
    if part:
        compiled = [case for case in chosen if "true" in WAYS[case.way][0]]
        chosen = compiled[int(part[0]) :: int(part[1])]
    for case in chosen:
        if time.monotonic() > end:
            return
        try:
            row = measure(case, device)
        except Exception as error:  # the others are worth their time
            row = {**case._asdict(), "error": f"{type(error).__name__}: {error}"[:300]}
        torch.cuda.empty_cache()
        if not part:
            with Path(file).open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
