"""Sets the times of one update by several contenders in proportion, as a table."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

BASELINE = "mean"
GEMM_BASELINE = "matrix products alone"
XLA = "mean, by JAX"


@dataclass(frozen=True)
class Measurement:
    """The median time of one contender on one suite size."""

    env: str
    tasks: int
    contender: str
    milliseconds: float
    ratio: float  # to the mean of the same run
    gemm_ratio: float | None  # to the matrix products alone, for the plain agent
    xla_ratio: float | None  # to the mean as a JAX program, where that ran
    speedup: float | None  # over the same method with joint backward passes, where that ran
    compiling: float | None  # seconds that the first call took, for what is compiled


def measured(
    env: str, tasks: int, medians: dict[str, float], compiling: dict[str, float]
) -> list[Measurement]:
    """Set the contenders' medians, in milliseconds, in proportion to each other."""
    measurements = []
    for name, median in medians.items():
        products, published = medians.get(GEMM_BASELINE), medians.get(f"{name}, as published")
        xla = medians.get(XLA)
        measurements.append(
            Measurement(
                env,
                tasks,
                name,
                median,
                median / medians[BASELINE],
                None if products is None or name == GEMM_BASELINE else median / products,
                None if xla is None else median / xla,
                None if published is None else published / median,
                compiling.get(name),
            )
        )
    return measurements


def table_of(measurements: list[Measurement], title: str, *, beside_xla: bool) -> Table:
    """Lay them out, a row each."""
    table = Table(title=title)
    ratios = (f"/ {BASELINE}", "/ products", *["/ JAX"] * beside_xla, "x published")
    for column in ("suite", "contender", "median ms", *ratios):
        table.add_column(column, justify="left" if column in ("suite", "contender") else "right")
    for found in measurements:
        values = (found.gemm_ratio, *[found.xla_ratio] * beside_xla, found.speedup)
        others = ("" if value is None else f"{value:.2f}" for value in values)
        timing = (f"{found.milliseconds:.1f}", f"{found.ratio:.2f}")
        table.add_row(found.env, found.contender, *timing, *others)
    return table
