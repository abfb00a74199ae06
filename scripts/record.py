"""Film a policy at work:  python scripts/record.py RUN_DIR --task door-open-v3 --out video.mp4."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from envs.metaworld import MetaWorldSuite
from envs.metaworld_camera import CAMERAS, Camera, choose_backend
from envs.metaworld_task import MetaWorldTask
from mtrl.errors import UsageError, require
from mtrl.run_directory import RunDirectory
from scripts.command_line import find_modules_here, run_program
from scripts.evaluate import Trained, load_policy

STEPS_PER_SECOND = 80  # of simulated time
SUCCESS = (40, 160, 60)
LABEL = 0.06  # height of the text, as a share of the picture's

Picture = NDArray[np.uint8]  # [height, width, 3]


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
        pictures = _play(scenes, filmed, len(names), policy, arguments.goal, arguments.every)
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


class Scene:
    """One task being filmed.

    Args:
        name: written above the picture.
        task: the environment.
        camera: name of the camera.
        size: of the picture.
        stack: closes the camera.
    """

    def __init__(self, name: str, task: MetaWorldTask, camera: str, size: int, stack: ExitStack) -> None:
        self.name = name
        self.success_at: int | None = None
        self.over = False
        self._task = task
        self._camera = stack.enter_context(closing(Camera(task.env, camera, size)))
        self._size = size
        self._font = ImageFont.load_default(size=max(10, round(LABEL * size)))
        self._steps = 0
        self._last: Picture | None = None

    def begin(self, goal: int) -> NDArray[Any]:
        """Start the episode: observation [O]."""
        return self._task.reset(goal)

    def step(self, action: NDArray[np.float32]) -> NDArray[Any]:
        """One step: observation [O]. The episode is over at success, as in an evaluation."""
        obs, _, terminated, truncated, success = self._task.step(action)
        self._steps += 1
        if success:
            self.success_at = self._steps
        self.over = success or terminated or truncated
        return obs

    def picture(self) -> Picture:
        """The task with its name and, once it succeeded, a green frame; the last picture when it is over."""
        if self._last is not None:
            return self._last
        image = Image.fromarray(np.ascontiguousarray(self._camera.picture()))
        draw = ImageDraw.Draw(image)
        solved = self.success_at is not None
        bar = round(1.6 * LABEL * self._size)
        draw.rectangle((0, 0, self._size, bar), fill=SUCCESS if solved else (0, 0, 0))
        text = f"{self.name}  success" if solved else self.name
        draw.text((bar / 4, bar / 2), text, fill="white", font=self._font, anchor="lm")
        if solved:
            draw.rectangle((0, 0, self._size - 1, self._size - 1), outline=SUCCESS, width=max(2, bar // 6))
        picture = np.asarray(image)
        if self.over:
            self._last = picture
        return picture


def _play(
    scenes: list[Scene], tasks: list[int], num_tasks: int, policy: Trained, goal: int, every: int
) -> Iterator[Picture]:
    """Pictures of the scenes side by side, until all of them are over and for a second more."""
    first = [scene.begin(goal) for scene in scenes]
    obs = np.zeros((num_tasks, 1, len(first[0])), np.float32)  # [K, 1, O]
    obs[tasks, 0] = first
    yield _grid([scene.picture() for scene in scenes])
    step = 0
    while not all(scene.over for scene in scenes):
        with torch.no_grad():
            batch = torch.from_numpy(obs).to(policy.device)
            actions = policy.agent.act(batch, deterministic=True)[:, 0].cpu().numpy()  # [K, A]
        for task, scene in zip(tasks, scenes, strict=True):
            if not scene.over:
                obs[task, 0] = scene.step(actions[task])
        step += 1
        if step % every == 0:
            yield _grid([scene.picture() for scene in scenes])
    for _ in range(STEPS_PER_SECOND // every):
        yield _grid([scene.picture() for scene in scenes])


def _grid(pictures: list[Picture]) -> Picture:
    """The pictures in rows, as wide as a screen is: [rows * size, columns * size, 3]."""
    columns = math.ceil(math.sqrt(len(pictures) * 16 / 9)) if len(pictures) > 1 else 1
    columns = min(columns, len(pictures))
    empty = [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    cells = [*pictures, *empty]
    rows = [np.concatenate(cells[begin : begin + columns], 1) for begin in range(0, len(cells), columns)]
    return np.concatenate(rows)


def _writer_options(out: Path, every: int) -> dict[str, Any]:
    """For imageio, at the speed of the simulated time."""
    require(out.suffix in (".mp4", ".gif"), f"--out must end in .mp4 or .gif, found {out.name!r}")
    require(out.parent.is_dir(), f"--out: there is no directory {out.parent}")
    rate = STEPS_PER_SECOND / every
    try:
        import imageio.v2  # noqa: F401
        import imageio_ffmpeg  # noqa: F401
    except ImportError as error:
        raise UsageError(f"{error.name} is missing: pip install 'mtrl[video]'") from error
    if out.suffix == ".gif":
        return {"duration": 1000 / rate, "loop": 0}
    return {"fps": rate, "macro_block_size": 2}


if __name__ == "__main__":
    main()
