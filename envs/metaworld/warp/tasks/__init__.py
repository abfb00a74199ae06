"""Shows and pays what Meta-World's 50 tasks do, for many worlds at once: one file a task."""

from __future__ import annotations

from importlib import import_module

from mtrl.envs.metaworld.warp.tasks.base import Task


def task_class(name: str) -> type[Task]:
    """The class of a task such as ``reach-v3``: ``Reach`` of the module ``reach`` beside this one."""
    words = name.removesuffix("-v3").split("-")
    module = import_module(f"{__name__}.{'_'.join(words)}")
    return getattr(module, "".join(word.capitalize() for word in words))
