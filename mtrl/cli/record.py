"""Films a policy at work:  python scripts/record.py RUN_DIR --task door-open-v3 --out video.mp4."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from mtrl.cli.evaluate import load_policy
from mtrl.cli.program import find_modules_here, run_program
from mtrl.envs.metaworld.camera import CAMERAS, choose_backend
from mtrl.envs.video import Scene, play, require_filmable, steps_between
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory
from mtrl.training.evaluation import on_host

PICTURES_PER_SECOND = 20


def main() -> None:
    """Entry point of ``mtrl-record``."""
    parser = argparse.ArgumentParser(description="Film the last checkpoint of a run.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--task", help="one task of the run (all of them, side by side)")
    parser.add_argument("--out", type=Path, default=Path("video.mp4"), help=".mp4 or .gif (video.mp4)")
    parser.add_argument("--goal", type=int, default=0, help="which of the task's goals (0)")
    parser.add_argument("--camera", choices=CAMERAS, help="of Meta-World (corner2)")
    parser.add_argument("--size", type=int, help="pixels of a task's picture (480, 240 for several tasks)")
    parser.add_argument("--every", type=int, help="steps between two pictures (about 20 a second)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (cpu)")
    arguments = parser.parse_args()
    run_program(lambda: _record(arguments))


def _record(arguments: argparse.Namespace) -> None:
    every: int | None = arguments.every
    require(every is None or every >= 1, f"--every must be at least 1, found {every}")
    size = arguments.size or (480 if arguments.task else 240)
    require(32 <= size <= 2000, f"--size must be from 32 to 2000, found {size}")
    _require_writer(arguments.out)
    run = RunDirectory(arguments.run)
    run.require_run()
    find_modules_here(run.path)
    no_backend: UsageError | None = None
    try:
        choose_backend()  # before MuJoCo is imported
    except UsageError as error:
        no_backend = error  # which an environment that draws by itself need not mind
    policy = load_policy(run, arguments.device)
    names = policy.suite.spec.task_names
    require(
        arguments.task is None or arguments.task in names,
        f"--task must be one of the run's tasks, {', '.join(names)}; found {arguments.task!r}",
    )
    require(
        0 <= arguments.goal < policy.suite.spec.num_goals,
        f"--goal must lie in 0..{policy.suite.spec.num_goals - 1}, found {arguments.goal}",
    )
    filmed = [names.index(arguments.task)] if arguments.task else list(range(len(names)))
    suite = require_filmable(policy.suite, filmed, no_backend)
    every = every or steps_between(suite, PICTURES_PER_SECOND)
    console = Console()
    console.print(f"step {policy.step}", highlight=False)
    import imageio.v2 as imageio

    with ExitStack() as stack:
        scenes = [Scene(suite, task, arguments.camera, size, stack) for task in filmed]
        rate = suite.steps_per_second / every
        writer: Any = stack.enter_context(
            imageio.get_writer(arguments.out, **_writer_options(arguments.out, rate))
        )
        act = on_host(policy.agent, policy.device)
        pictures = play(suite, scenes, filmed, act, arguments.goal, every)
        count = 0
        for picture in pictures:
            writer.append_data(picture)
            count += 1
    for scene in scenes:
        outcome = "no success" if scene.success_at is None else f"success at step {scene.success_at}"
        console.print(f"  {scene.name:<28} {outcome}", highlight=False)
    console.print(
        f"{count} pictures written to {arguments.out}", highlight=False, soft_wrap=True, markup=False
    )


def _require_writer(out: Path) -> None:
    require(out.suffix in (".mp4", ".gif"), f"--out must end in .mp4 or .gif, found {out.name!r}")
    require(out.parent.is_dir(), f"--out: there is no directory {out.parent}")
    try:
        import imageio.v2  # noqa: F401
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install imageio imageio-ffmpeg") from error


def _writer_options(out: Path, rate: float) -> dict[str, Any]:
    """For imageio, at so many pictures per second, which is the speed of the simulated time."""
    if out.suffix == ".gif":
        return {"duration": 1000 / rate, "loop": 0}
    return {"fps": rate, "macro_block_size": 2}


if __name__ == "__main__":
    main()
