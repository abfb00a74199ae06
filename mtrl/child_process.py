"""Says how to start a program of this package in another process so that it runs the same code as this one.

Python puts the current directory first where a module is started by its name: whatever lies there would stand
in for a library. Here the child gets the parent's own search path and nothing before it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PARENT = "MTRL_PARENT"  # the process whose end is also the child's, where that is wanted
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def command(module: str, *arguments: str) -> list[str]:
    """The words that start ``module``; needs :func:`environment`."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment() -> dict[str, str]:
    """This process's environment, with its search path for modules."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}


def bound_environment() -> dict[str, str]:
    """:func:`environment` for a child that calls :func:`end_with_parent` and shall not outlive this one."""
    return environment() | {PARENT: str(os.getpid())}


def end_with_parent() -> None:
    """Where the parent wants it, get a SIGTERM when it is gone, however that happens."""
    parent = os.environ.pop(PARENT, None)  # it is not meant for this process's own children
    if parent is None:
        return
    if hasattr(system := ctypes.CDLL(None), "prctl"):
        system.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if str(os.getppid()) != parent:
        os.kill(os.getpid(), signal.SIGTERM)  # it was gone before
