"""Says what a run is about to do, before its first step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mtrl.config.build import predict_memory
from mtrl.config.instantiate import TARGET
from mtrl.config.parts import Parts

PREDICTED_FROM = 16e6  # bytes of per-task gradients from which an update's memory is worth a line


def announcement(
    run_dir: Path, config: DictConfig, parts: Parts, objects: Mapping[str, Any]
) -> Iterator[str]:
    """Yield the lines.

    Args:
        run_dir: where the run is written.
        config: of the run.
        parts: built from it.
        objects: what stands in the place of parts that no configuration can name.
    """
    spec, sizes = parts.suite.spec, parts.agent.parameter_counts()
    counts = ", ".join(f"{name} {count:,}" for name, count in sizes.items())
    yield f"run: {run_dir}"
    for place in objects:
        name = OmegaConf.select(config, place)[TARGET]
        yield f"{place}: only Python can resume this run, for no configuration can name {name}"
    yield f"{spec.num_tasks} tasks on {parts.device}; parameters: {counts}"
    gradients = 4 * spec.num_tasks * sum(sizes.values())  # bytes, about
    # The prediction takes seconds: small networks fit anyway.
    memory = predict_memory(config, spec, objects) if gradients > PREDICTED_FROM else None
    if memory is not None:
        yield f"agent and update: {memory / 1e6:.0f} MB at most"
    if parts.compiling:
        yield "the first updates take a minute or two: PyTorch compiles them"
