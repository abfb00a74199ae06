"""Says how to start a program of this package in another process so that it runs the same code as this one.

Python puts the current directory first where a module is started by its name: whatever lies there would stand
in for a library. Here the child gets the parent's own search path and nothing before it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command(module: str, *arguments: str) -> list[str]:
    """The words that start ``module``; needs :func:`environment`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process's environment, with its search path for modules."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
