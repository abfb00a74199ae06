"""Takes pictures of Meta-World without a display."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtrl import child_process
from mtrl.errors import require

CAMERAS = ("corner", "corner2", "corner3", "corner4", "topview", "behindGripper", "gripperPOV")
BACKENDS = ("egl", "osmesa")
PROBE = """
import os
import mujoco
context = mujoco.GLContext(64, 64)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100)
os._exit(0)  # without the noise that some drivers make while the interpreter shuts down
"""


def choose_backend() -> str:
    """Set ``MUJOCO_GL`` to the first backend that draws here, unless the user did. MuJoCo reads it on import.

    Each one is tried in a process of its own, since a backend cannot be exchanged once MuJoCo has it.

    Raises:
        UsageError: if none works, naming the packages that provide them.
    """
    given = os.environ.get("MUJOCO_GL")
    candidates = (given,) if given else BACKENDS
    for backend in candidates:
        environment = child_process.environment() | {"MUJOCO_GL": backend}
        tried = subprocess.run([sys.executable, "-P", "-c", PROBE], env=environment, capture_output=True)
        if tried.returncode == 0:
            os.environ["MUJOCO_GL"] = backend
            return backend
    require(
        False,
        f"cannot draw without a display: tried MUJOCO_GL={' and '.join(candidates)}; install EGL "
        "(Debian and Ubuntu: apt install libegl1 libgl1-mesa-dri) or OSMesa (apt install libosmesa6)",
    )
    raise AssertionError


class Camera:
    """Draws one environment of :class:`mtrl.envs.metaworld.task.MetaWorldTask`.

    Args:
        env: of the library, with ``model`` and ``data``.
        name: one of :data:`CAMERAS`.
        size: width and height of the picture in pixels.
    """

    def __init__(self, env: Any, name: str, size: int) -> None:
        import mujoco

        require(name in CAMERAS, f"camera must be one of {', '.join(CAMERAS)}, found {name!r}")
        buffer = env.model.vis.global_
        buffer.offwidth, buffer.offheight = max(buffer.offwidth, size), max(buffer.offheight, size)
        self._data = env.data
        self._name = name
        self._renderer = mujoco.Renderer(env.model, size, size)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = False  # they take most of the time

    def picture(self) -> NDArray[np.uint8]:
        """What the camera sees now: [size, size, 3]."""
        self._renderer.update_scene(self._data, camera=self._name)
        picture = self._renderer.render()
        # The library's corner cameras hang upside down.
        return picture[::-1, ::-1] if self._name.startswith("corner") else picture

    def close(self) -> None:
        """Give up the graphics context."""
        self._renderer.close()
