"""Takes pictures of a Gymnasium environment through its own ``render()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtrl.errors import UsageError, require

STEPS_PER_SECOND = 30.0  # where an environment does not say


class RenderCamera:
    """Draws an environment whose render mode is ``rgb_array``, made to fit a square.

    Args:
        env: to be drawn.
        name: of its task, for messages.
        size: width and height of the picture in pixels.
    """

    def __init__(self, env: gymnasium.Env, name: str, size: int) -> None:
        self._env = env
        self._name = name
        self._size = size
        renderer = getattr(env.unwrapped, "mujoco_renderer", None)
        if renderer is not None:
            _hasten(renderer, size)

    def picture(self) -> NDArray[np.uint8]:
        """What the environment draws now: [size, size, 3], with black beside what is no square."""
        try:
            drawn: Any = self._env.render()
        except gymnasium.error.DependencyNotInstalled as error:
            raise UsageError(f"task {self._name} cannot be drawn: {error}") from error
        valid = isinstance(drawn, np.ndarray) and drawn.ndim == 3 and drawn.shape[2] == 3
        found = f"shape {drawn.shape}" if isinstance(drawn, np.ndarray) else type(drawn).__name__
        require(
            valid, f"render() of task {self._name} must return an array [height, width, 3], found {found}"
        )
        image = Image.fromarray(np.ascontiguousarray(drawn, np.uint8))
        image.thumbnail((self._size, self._size))
        square = Image.new("RGB", (self._size, self._size))
        square.paste(image, ((self._size - image.width) // 2, (self._size - image.height) // 2))
        return np.asarray(square)

    def close(self) -> None:
        """Give up the environment with its graphics context."""
        self._env.close()


def _hasten(renderer: Any, size: int) -> None:
    """Let MuJoCo draw no more pixels than are wanted, nor shadows and reflections: a tenth of the time."""
    import mujoco

    buffer = renderer.model.vis.global_
    buffer.offwidth, buffer.offheight = max(buffer.offwidth, size), max(buffer.offheight, size)
    renderer.width = renderer.height = size
    scene = renderer._get_viewer("rgb_array").scn
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        scene.flags[flag] = False


def frames_per_second(metadata: Mapping[str, Any]) -> float:
    """Steps of an environment in a second of its own time."""
    rate = metadata.get("render_fps")
    return float(rate) if isinstance(rate, int | float) and rate > 0 else STEPS_PER_SECOND
