"""Films a policy at work:  python scripts/record.py RUN_DIR --task door-open-v3 --out video.mp4."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rich.console import Console

from mtrl.cli.evaluate import load_policy
from mtrl.config.compose import find_modules_here, run_program
from mtrl.envs.metaworld.camera import CAMERAS, choose_backend
from mtrl.envs.metaworld.suite import MetaWorldSuite
from mtrl.envs.metaworld.video import STEPS_PER_SECOND, Scene, play
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory
from mtrl.training.evaluation import on_host


def main() -> None:
    """Entry point of ``mtrl-record``."""
    parser = argparse.ArgumentParser(description="Film the last checkpoint of a Meta-World run.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--task", help="one task of the run (all of them, side by side)")
    parser.add_argument("--out", type=Path, default=Path("video.mp4"), help=".mp4 or .gif (video.mp4)")
    parser.add_argument("--goal", type=int, default=0, help="which of the task's goals (0)")
    parser.add_argument("--camera", choices=CAMERAS, default="corner2", help="(corner2)")
    parser.add_argument("--size", type=int, help="pixels of a task's picture (480, 240 for several tasks)")
    parser.add_argument("--every", type=int, default=4, help="steps between two pictures (4)")
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or cuda:N (cpu)")
    arguments = parser.parse_args()
    run_program(lambda: _record(arguments))


def _record(arguments: argparse.Namespace) -> None:
    require(arguments.every >= 1, f"--every must be at least 1, found {arguments.every}")
    size = arguments.size or (480 if arguments.task else 240)
    require(32 <= size <= 2000, f"--size must be from 32 to 2000, found {size}")
    writer_options = _writer_options(arguments.out, arguments.every)
    run = RunDirectory(arguments.run)
    run.require_run()
    find_modules_here(run.path)
    backend = choose_backend()
    policy = load_policy(run, arguments.device)
    suite = policy.suite
    require(
        isinstance(suite, MetaWorldSuite),
        f"only Meta-World can be filmed, {run.path} is a run of {suite.describe()['suite']}",
    )
    assert isinstance(suite, MetaWorldSuite)
    names = suite.spec.task_names
    require(
        arguments.task is None or arguments.task in names,
        f"--task must be one of the run's tasks, {', '.join(names)}; found {arguments.task!r}",
    )
    require(
        0 <= arguments.goal < suite.spec.num_goals,
        f"--goal must lie in 0..{suite.spec.num_goals - 1}, found {arguments.goal}",
    )
    filmed = [names.index(arguments.task)] if arguments.task else list(range(len(names)))
    console = Console()
    console.print(f"step {policy.step}, drawing with {backend}", highlight=False)
    import imageio.v2 as imageio

    with ExitStack() as stack:
        scenes = [Scene(names[task], suite.task(task), arguments.camera, size, stack) for task in filmed]
        writer: Any = stack.enter_context(imageio.get_writer(arguments.out, **writer_options))
        act = on_host(policy.agent, policy.device)
        pictures = play(scenes, filmed, len(names), act, arguments.goal, arguments.every)
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


def _writer_options(out: Path, every: int) -> dict[str, Any]:
    """For imageio, at the speed of the simulated time."""
    require(out.suffix in (".mp4", ".gif"), f"--out must end in .mp4 or .gif, found {out.name!r}")
    require(out.parent.is_dir(), f"--out: there is no directory {out.parent}")
    rate = STEPS_PER_SECOND / every
    try:
        import imageio.v2  # noqa: F401
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install imageio imageio-ffmpeg") from error
    if out.suffix == ".gif":
        return {"duration": 1000 / rate, "loop": 0}
    return {"fps": rate, "macro_block_size": 2}


if __name__ == "__main__":
    main()
