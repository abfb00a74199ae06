"""Records a policy at work on the tasks of a suite, side by side, named, and marked at success."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mtrl.envs.shared_memory import TaskEnv
from mtrl.errors import UsageError, require
from mtrl.types import FloatArray, Suite, SuiteSpec

SUCCESS = (40, 160, 60)
COLORS = 128  # of a GIF, the same ones in all pictures: what does not move then takes no space
LABEL = 0.06  # height of the text, as a share of the picture's

Picture = NDArray[np.uint8]  # [height, width, 3]
Act = Callable[[FloatArray], FloatArray]  # from observations [K, n, O] to actions [K, n, A]


class Camera(Protocol):
    """Draws one environment."""

    def picture(self) -> Picture:
        """What it sees now: [size, size, 3]."""

    def close(self) -> None:
        """Give up the graphics context."""


@runtime_checkable
class Drawable(Protocol):
    """A suite whose tasks can be drawn."""

    spec: SuiteSpec
    steps_per_second: float  # of simulated time

    def require_drawable(self, tasks: Sequence[int], no_backend: UsageError | None) -> None:
        """Raise if some tasks cannot be drawn; ``no_backend`` says why MuJoCo draws nothing here, if so."""

    def scene(self, index: int, camera: str | None, size: int) -> tuple[TaskEnv, Camera]:
        """A new environment of one task, and what draws it.

        Args:
            index: of the task.
            camera: by name; None for the usual one.
            size: width and height of the picture in pixels.

        Raises:
            UsageError: if it cannot be drawn so.
        """


def as_drawable(suite: Suite, tasks: Sequence[int], no_backend: UsageError | None) -> Drawable:
    """The suite as one that can be drawn.

    Raises:
        UsageError: if it cannot.
    """
    require(
        isinstance(suite, Drawable),
        "videos need a suite with the methods of mtrl.envs.video.Drawable, found "
        f"{suite.describe()['suite']}",
    )
    assert isinstance(suite, Drawable)
    suite.require_drawable(tasks, no_backend)
    return suite


class Scene:
    """Plays one task for a video.

    Args:
        suite: of the task.
        index: of the task in the suite.
        camera: by name; None for the usual one.
        size: of the picture.
        stack: closes the camera.
    """

    def __init__(self, suite: Drawable, index: int, camera: str | None, size: int, stack: ExitStack) -> None:
        self.name = suite.spec.task_names[index]
        self.success_at: int | None = None
        self.over = False
        self._task, drawn = suite.scene(index, camera, size)
        self._camera = stack.enter_context(closing(drawn))
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
    suite: Drawable, scenes: Sequence[Scene], tasks: Sequence[int], act: Act, goal: int, every: int
) -> Iterator[Picture]:
    """Pictures of the scenes side by side, until all of them are over and for a second more."""
    num_tasks = suite.spec.num_tasks
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
    for _ in range(int(suite.steps_per_second // every)):
        yield _grid([scene.picture() for scene in scenes])


def _grid(pictures: list[Picture]) -> Picture:
    """The pictures in rows, as wide as a screen is: [rows * size, columns * size, 3]."""
    columns = math.ceil(math.sqrt(len(pictures) * 16 / 9)) if len(pictures) > 1 else 1
    columns = min(columns, len(pictures))
    empty = [np.zeros_like(pictures[0])] * (-len(pictures) % columns)
    cells = [*pictures, *empty]
    rows = [np.concatenate(cells[begin : begin + columns], 1) for begin in range(0, len(cells), columns)]
    return np.concatenate(rows)


def steps_between(suite: Drawable, rate: int) -> int:
    """Steps between two pictures, for about ``rate`` pictures in a second of simulated time."""
    return max(1, round(suite.steps_per_second / rate))


def gif(suite: Drawable, act: Act, size: int, rate: int) -> bytes:
    """All tasks of a suite at their first goal, encoded, at the speed of the simulated time."""
    tasks = range(suite.spec.num_tasks)
    every = steps_between(suite, rate)
    with ExitStack() as stack:
        scenes = [Scene(suite, task, None, size, stack) for task in tasks]
        encoded = io.BytesIO()
        write_gif(encoded, play(suite, scenes, tasks, act, 0, every), suite.steps_per_second / every)
    return encoded.getvalue()


def write_gif(target: Path | io.BytesIO, pictures: Iterable[Picture], rate: float) -> int:
    """Write pictures of one size, ``rate`` a second, shown again and again; their number."""
    frames: list[Image.Image] = []
    palette: Image.Image | None = None
    for picture in pictures:
        if palette is None:
            mark = np.full_like(picture[:8], SUCCESS)  # which no first picture has
            palette = Image.fromarray(np.concatenate([picture, mark])).quantize(COLORS)
        frames.append(Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE))
    frames[0].save(target, "gif", save_all=True, append_images=frames[1:], duration=1000 / rate, loop=0)
    return len(frames)
