"""Records what a reader needs to know to repeat a run."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mtrl import __version__
from mtrl.devices import describe_device

DISTRIBUTION = "mtrl-torch"  # as pyproject.toml names it


def manifest(device: torch.device, seed: int, suite: dict[str, Any], agent: dict[str, Any]) -> dict[str, Any]:
    """Collect versions, git revision, device, seed, units of steps, and descriptions of suite and agent."""
    packages = ("torch", "numpy", "hydra-core")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {"mtrl": __version__} | {name: importlib.metadata.version(name) for name in packages},
        "git_revision": git_revision(),
        "device": describe_device(device),
        "torch_threads": torch.get_num_threads(),
        "seed": seed,
        "step_units": {
            "step": "environment steps of one task",
            "total_steps": "environment steps of all tasks together",
            "updates": "gradient steps, each on every task",
        },
        "suite": suite,
        "agent": agent,
    }


def git_revision() -> str | None:
    """Revision of the source tree, marked where it has uncommitted changes; None outside a clone.

    An installed package may lie in someone's own repository, whose revision says nothing about this code.
    """
    root = Path(__file__).resolve().parents[2]
    where = [f"--git-dir={root / '.git'}", f"--work-tree={root}"]  # else git looks in the folders above too
    command = ["git", *where, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        if f'name = "{DISTRIBUTION}"' not in (root / "pyproject.toml").read_text(errors="replace"):
            return None
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
