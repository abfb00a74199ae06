"""Writes a video of a run's last policy at work."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from mtrl import policies
from mtrl.config.recorder import prepare_drawing
from mtrl.config.trained import load_trained
from mtrl.envs.video import Picture, Scene, as_drawable, play, steps_between, write_gif
from mtrl.errors import UsageError, require
from mtrl.runs.directory import RunDirectory
from mtrl.training.evaluation import on_host

PICTURES_PER_SECOND = 20


class Video(NamedTuple):
    """What was written, and what there is to be seen."""

    step: int  # of the checkpoint
    success_at: dict[str, int | None]  # by task, the step of its success; None without one
    pictures: int


def write_video(
    run_dir: str | Path,
    out: str | Path,
    *,
    task: str | None = None,
    goal: int = 0,
    camera: str | None = None,
    size: int | None = None,
    every: int | None = None,
    device: str = "cpu",
    network: str | None = None,
) -> Video:
    """Record one episode of one task, or of all tasks side by side.

    Args:
        run_dir: where the run was written, or the name of a policy that comes with the package.
        out: file to write, .mp4 or .gif.
        task: by name; None for all tasks.
        goal: which of the task's goals.
        camera: of Meta-World, by name; None for the usual one.
        size: pixels of a task's picture; None for 480, or 240 for several tasks.
        every: steps between two pictures; None for about 20 pictures a second.
        device: of the agent: auto, cpu, cuda or cuda:N.
        network: MODULE.CLASS of the run's networks, where its configuration cannot name it.

    Raises:
        UsageError: for a value out of range, a run that cannot be loaded, and a suite that cannot be drawn.
    """
    out = Path(out)
    require(every is None or every >= 1, f"every must be at least 1, found {every}")
    size = size or (480 if task else 240)
    require(32 <= size <= 2000, f"size must be from 32 to 2000, found {size}")
    _require_writer(out)
    run = RunDirectory(policies.at(run_dir))
    run.require_run()
    no_backend = prepare_drawing()  # before the suite imports MuJoCo
    trained = load_trained(run, device, network)
    names, goals = trained.suite.spec.task_names, trained.suite.spec.num_goals
    require(
        task is None or task in names,
        f"task must be one of the run's tasks, {', '.join(names)}; found {task!r}",
    )
    require(0 <= goal < goals, f"goal must lie in 0..{goals - 1}, found {goal}")
    tasks = list(range(len(names))) if task is None else [names.index(task)]
    suite = as_drawable(trained.suite, tasks, no_backend)
    every = every or steps_between(suite, PICTURES_PER_SECOND)
    with ExitStack() as stack:
        scenes = [Scene(suite, index, camera, size, stack) for index in tasks]
        pictures = play(suite, scenes, tasks, on_host(trained.agent, trained.device), goal, every)
        write = write_gif if out.suffix == ".gif" else _write_mp4
        count = write(out, pictures, suite.steps_per_second / every)  # at the speed of the simulated time
    return Video(trained.step, {scene.name: scene.success_at for scene in scenes}, count)


def _require_writer(out: Path) -> None:
    require(out.suffix in (".mp4", ".gif"), f"out must end in .mp4 or .gif, found {out.name!r}")
    require(out.parent.is_dir(), f"out: there is no directory {out.parent}")
    if out.suffix == ".gif":
        return
    try:
        import imageio.v2  # noqa: F401
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        remedy = "pip install imageio imageio-ffmpeg, or write a .gif, which needs neither"
        raise UsageError(f"{error.name} is missing: {remedy}") from error


def _write_mp4(out: Path, pictures: Iterable[Picture], rate: float) -> int:
    import imageio.v2 as imageio

    count = 0
    writer: Any
    with imageio.get_writer(out, fps=rate, macro_block_size=2) as writer:
        for picture in pictures:
            writer.append_data(picture)
            count += 1
    return count
