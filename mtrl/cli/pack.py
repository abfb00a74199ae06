"""Packs a run's policy into a small folder to hand on:  python scripts/pack.py RUN_DIR --out FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtrl.analysis.pack import pack_policy
from mtrl.cli.program import run_program
from mtrl.config.literals import path_of


def main() -> None:
    """Entry point of ``mtrl-pack``."""
    parser = argparse.ArgumentParser(
        description="Write the policy of a run's last checkpoint as a small folder, which "
        "mtrl.load and the programs take like a run: the actor's weights with their digest, the "
        "configuration, the learning curve, and its success on every goal, measured anew.",
    )
    parser.add_argument("run", type=path_of, metavar="RUN_DIR")
    parser.add_argument("--out", type=path_of, required=True, metavar="FOLDER", help="folder to make")
    parser.add_argument("--half", action="store_true", help="weights in float16, half as large")
    parser.add_argument(
        "--horizon",
        type=int,
        action="append",
        default=[],
        help="evaluate it in episodes of so many steps too; may be given more than once",
    )
    parser.add_argument("--licence", default="MIT", help="of the weights (MIT)")
    parser.add_argument("--note", help="more on how it was made, such as what else the machine did")
    run_program(lambda: _pack(parser.parse_args()))


def _pack(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    facts = pack_policy(
        arguments.run,
        out,
        half=arguments.half,
        horizons=arguments.horizon,
        licence=arguments.licence,
        note=arguments.note,
    )
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: step {facts['steps_per_task']}, {size / 1000:.0f} KB, weights in {facts['dtype']}")
    for found in facts["evaluations"]:
        print(f"  success {found['mean_success']:.3f} in episodes of {found['horizon']} steps")
    if facts["before_packing"] is not None:
        print(f"  success {facts['before_packing']['mean_success']:.3f} before packing, by the run itself")


if __name__ == "__main__":
    main()
