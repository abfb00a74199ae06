"""Times updates, whole steps, aggregators, environments:  python scripts/benchmark.py update --env mt10."""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks import aggregators, envs, evaluation, kernels, loop, memory, update, worlds
from mtrl.cli.program import run_program


def main() -> None:
    """Run the benchmark that the first argument names."""
    parser = argparse.ArgumentParser(description="Benchmarks, as medians and ratios within one run.")
    commands = parser.add_subparsers(required=True, dest="command")
    for part in (update, loop, memory, aggregators, kernels, envs, evaluation, worlds):
        part.add_command(commands)
    arguments = parser.parse_args()
    run_program(partial(arguments.run, arguments))


if __name__ == "__main__":
    main()
