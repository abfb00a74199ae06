"""Films of a policy at work on Meta-World's tasks, side by side, named, and marked at success."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mtrl.envs.metaworld.camera import Camera
from mtrl.envs.metaworld.suite import MetaWorldSuite
from mtrl.envs.metaworld.task import MetaWorldTask
from mtrl.types import FloatArray

STEPS_PER_SECOND = 80  # of simulated time
SUCCESS = (40, 160, 60)
LABEL = 0.06  # height of the text, as a share of the picture's

Picture = NDArray[np.uint8]  # [height, width, 3]
Act = Callable[[FloatArray], FloatArray]  # from observations [K, n, O] to actions [K, n, A]


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


def play(
    scenes: Sequence[Scene], tasks: Sequence[int], num_tasks: int, act: Act, goal: int, every: int
) -> Iterator[Picture]:
    """Pictures of the scenes side by side, until all of them are over and for a second more."""
    first = [scene.begin(goal) for scene in scenes]
    obs = np.zeros((num_tasks, 1, len(first[0])), np.float32)  # [K, 1, O]
    obs[tasks, 0] = first
    yield _grid([scene.picture() for scene in scenes])
    step = 0
    while not all(scene.over for scene in scenes):
        actions = act(obs)[:, 0]  # [K, A]
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


def gif(suite: MetaWorldSuite, act: Act, size: int, every: int) -> bytes:
    """All tasks of a suite at their first goal, encoded, at the speed of the simulated time."""
    names = suite.spec.task_names
    with ExitStack() as stack:
        scenes = [Scene(name, suite.task(task), "corner2", size, stack) for task, name in enumerate(names)]
        pictures = play(scenes, range(len(names)), len(names), act, 0, every)
        first, *others = [Image.fromarray(picture).quantize(64) for picture in pictures]
    encoded = io.BytesIO()
    duration = 1000 * every / STEPS_PER_SECOND
    first.save(encoded, "gif", save_all=True, append_images=others, duration=duration, loop=0)
    return encoded.getvalue()
