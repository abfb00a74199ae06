"""Writes a video of a run's last policy at work."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from mtrl import policies
from mtrl.config.recorder import prepare_drawing
from mtrl.config.trained import load_trained
from mtrl.envs.video import Scene, as_drawable, play, steps_between
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
    import imageio.v2 as imageio

    with ExitStack() as stack:
        scenes = [Scene(suite, index, camera, size, stack) for index in tasks]
        options = _writer_options(out, suite.steps_per_second / every)
        writer: Any = stack.enter_context(imageio.get_writer(out, **options))
        act = on_host(trained.agent, trained.device)
        pictures = 0
        for picture in play(suite, scenes, tasks, act, goal, every):
            writer.append_data(picture)
            pictures += 1
    return Video(trained.step, {scene.name: scene.success_at for scene in scenes}, pictures)


def _require_writer(out: Path) -> None:
    require(out.suffix in (".mp4", ".gif"), f"out must end in .mp4 or .gif, found {out.name!r}")
    require(out.parent.is_dir(), f"out: there is no directory {out.parent}")
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
