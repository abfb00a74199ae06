"""Exports a policy to a file that needs PyTorch alone:  python scripts/export.py RUN_DIR --out policy.pt2."""

from __future__ import annotations

import argparse
from pathlib import Path

import mtrl
from mtrl.cli.program import find_modules_here, run_program
from mtrl.config.literals import path_of, run_of
from mtrl.config.trained import find_network
from mtrl.errors import require
from mtrl.runs.export import SAMPLES, export_policy


def main() -> None:
    """Entry point of ``mtrl-export``."""
    parser = argparse.ArgumentParser(
        description="Write the deterministic policy of a run as a file that loads without mtrl."
    )
    parser.add_argument("run", type=run_of, metavar="RUN_DIR")
    parser.add_argument("--out", type=path_of, default=Path("policy.pt2"), help="file to write (policy.pt2)")
    parser.add_argument("--step", type=int, help="of the checkpoint (the newest)")
    parser.add_argument(
        "--network", metavar="MODULE.CLASS", help="of your own, where the run was trained with one"
    )
    run_program(lambda: _export(parser.parse_args()))


def _export(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    require(out.suffix == ".pt2", f"--out must end in .pt2, found {out.name!r}")
    require(out.parent.is_dir(), f"--out must lie in an existing folder, there is no {out.parent}")
    require(not out.exists(), f"--out: {out} exists already; remove it or choose another name")
    find_modules_here(arguments.run)
    network = None if arguments.network is None else find_network(arguments.network)
    policy = mtrl.load(arguments.run, step=arguments.step, network=network)
    difference = export_policy(policy, out)
    tasks = f"{len(policy.task_names)} tasks" if len(policy.task_names) > 1 else policy.task_names[0]
    print(f"{out}: {tasks} at step {policy.step}, {out.stat().st_size / 1e6:.1f} MB")
    print(f"largest difference from the checkpoint, {SAMPLES} observations of each task: {difference:.1e}")


if __name__ == "__main__":
    main()
