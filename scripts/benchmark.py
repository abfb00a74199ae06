"""Time what a researcher waits for:  python scripts/benchmark.py update --env mt10 mt50."""

from __future__ import annotations

import argparse
from functools import partial

from scripts import (
    benchmark_aggregators,
    benchmark_envs,
    benchmark_evaluation,
    benchmark_memory,
    benchmark_update,
)
from scripts.command_line import run_program


def main() -> None:
    """Entry point of ``mtrl-benchmark``."""
    parser = argparse.ArgumentParser(description="Benchmarks, as medians and ratios within one run.")
    commands = parser.add_subparsers(required=True, dest="command")
    parts = (benchmark_update, benchmark_memory, benchmark_aggregators, benchmark_envs, benchmark_evaluation)
    for part in parts:
        part.add_command(commands)
    arguments = parser.parse_args()
    run_program(partial(arguments.run, arguments))


if __name__ == "__main__":
    main()
