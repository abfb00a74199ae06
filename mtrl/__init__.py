"""Trains one policy on many tasks, whose gradients it aggregates.

``mtrl.Experiment`` trains, ``mtrl.load`` gives the policy of a run, and ``mtrl.backward`` brings the
aggregators of ``mtrl.aggregators`` to networks of your own.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtrl.agents.load import load
    from mtrl.agents.sac import SAC
    from mtrl.errors import UsageError
    from mtrl.experiment import Experiment
    from mtrl.gradients.backward import backward
    from mtrl.training.config import TrainingConfig

__version__ = "0.2.0"
__all__ = ["SAC", "Experiment", "TrainingConfig", "UsageError", "__version__", "backward", "load"]

# Imported on first use: worker processes import a part of the package, and none of them wants PyTorch.
_HOMES = {
    "Experiment": "mtrl.experiment",
    "SAC": "mtrl.agents.sac",
    "TrainingConfig": "mtrl.training.config",
    "UsageError": "mtrl.errors",
    "backward": "mtrl.gradients.backward",
    "load": "mtrl.agents.load",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _modules():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    special = {name for name in globals() if name.startswith("__")}
    return sorted({*special, *__all__, *_modules()})


def _modules() -> set[str]:
    return {found.name for found in iter_modules(__path__)}
