"""Records a policy at work:  python scripts/record.py RUN_DIR --task door-open-v3 --out video.mp4."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from mtrl.analysis.video import write_video
from mtrl.cli.program import find_modules_here, run_program
from mtrl.config.literals import path_of, run_of
from mtrl.envs.metaworld.camera import CAMERAS


def main() -> None:
    """Entry point of ``mtrl-record``."""
    parser = argparse.ArgumentParser(description="Record the last checkpoint of a run.")
    parser.add_argument("run", type=run_of, metavar="RUN_DIR")
    parser.add_argument("--task", help="one task of the run (all of them, side by side)")
    parser.add_argument("--out", type=path_of, default=Path("video.mp4"), help=".mp4 or .gif (video.mp4)")
    parser.add_argument("--goal", type=int, default=0, help="which of the task's goals (0)")
    parser.add_argument("--camera", choices=CAMERAS, help="of Meta-World (corner2)")
    parser.add_argument("--size", type=int, help="pixels of a task's picture (480, 240 for several tasks)")
    parser.add_argument("--every", type=int, help="steps between two pictures (about 20 a second)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (cpu)")
    parser.add_argument(
        "--network", metavar="MODULE.CLASS", help="of a network that the configuration cannot name"
    )
    run_program(lambda: _record(parser.parse_args()))


def _record(arguments: argparse.Namespace) -> None:
    find_modules_here(arguments.run)
    video = write_video(
        arguments.run,
        arguments.out,
        task=arguments.task,
        goal=arguments.goal,
        camera=arguments.camera,
        size=arguments.size,
        every=arguments.every,
        device=arguments.device,
        network=arguments.network,
    )
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(f"step {video.step}")
    for name, step in video.success_at.items():
        console.print(f"  {name:<28} {'no success' if step is None else f'success at step {step}'}")
    console.print(f"{video.pictures} pictures written to {arguments.out}")


if __name__ == "__main__":
    main()
