"""Records what a reader needs to know to repeat a run."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from mtrl import __version__
from mtrl.devices import describe_device
from mtrl.machine import available_cores
from mtrl.products import Products

COMPUTING = {  # what decides how results are rounded, by its place in the manifest
    "device": "device",
    "torch_threads": "threads",
    "products": "products by",
    "products_checksum": "products that add up to",
}
DISTRIBUTION = "mtrl-torch"  # as pyproject.toml names it


def manifest(
    device: torch.device, products: Products, seed: int, suite: dict[str, Any], agent: dict[str, Any]
) -> dict[str, Any]:
    """Collect versions, git revision, what computes, seed, units of steps, and what suite and agent are."""
    packages = ("torch", "numpy", "hydra-core")
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {"mtrl": __version__} | {name: importlib.metadata.version(name) for name in packages},
        "git_revision": git_revision(),
        "device": describe_device(device),
        "torch_threads": torch.get_num_threads(),
        "products": products.name,
        "products_checksum": products.checksum,
        "seed": seed,
        "step_units": {
            "step": "environment steps of one task",
            "total_steps": "environment steps of all tasks together",
            "updates": "gradient steps, each on every task",
        },
        "suite": suite,
        "agent": agent,
    }


def computing(found: Mapping[str, Any]) -> str:
    """Say in one line what computes the run of a manifest."""
    return (
        f"computing on {found['device']}, products by {found['products']}, {found['torch_threads']} of "
        f"{available_cores()} cores for PyTorch's threads"
    )


def differences(before: Mapping[str, Any], today: Mapping[str, Any]) -> str:
    """Say what computed a run at its beginning, as far as it is not what computes it today, else nothing.

    Args:
        before: the manifest that the run began with; what it does not say counts as the same.
        today: one of today.
    """
    changed = [name for name in COMPUTING if name in before and before[name] != today[name]]
    # What a file says is shown as Python writes it: it must not command the terminal.
    return ", ".join(f"{COMPUTING[name]} {before[name]!r:.200} (now {today[name]!r})" for name in changed)


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
