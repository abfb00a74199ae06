"""Records what a reader needs to know to repeat a run."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtrl import __version__
from mtrl.devices import describe_device
from mtrl.errors import UsageError
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
    # What a file says is shown as Python writes it: it must not command the terminal.
    return ", ".join(
        f"{COMPUTING[name]} {first!r:.200} (now {now!r})"
        for name, (first, now) in computing_changes(before, today).items()
    )


def computing_changes(before: Mapping[str, Any], today: Mapping[str, Any]) -> dict[str, list[Any]]:
    """List what computed a run at its beginning and what does today, by the names of a manifest."""
    return {
        name: [before[name], today[name]]
        for name in COMPUTING
        if name in before and before[name] != today[name]
    }


def with_history(
    before: Mapping[str, Any],
    today: Mapping[str, Any],
    step: int,
    changes: Mapping[str, list[Any]],
    final: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the manifest of a run that goes on, with what changed since it was begun or last resumed.

    Args:
        before: the manifest that it has.
        today: what :func:`manifest` says now.
        step: at which it goes on.
        changes: before and after, by name.
        final: its final evaluation, where it was finished and is trained further.
    """
    entry = {"resumed": today["created"], "step": step, "changed": dict(changes)}
    entry |= {} if final is None else {"final_before": dict(final)}
    found = before.get("history")
    return {**before, "history": [*(found if isinstance(found, list) else []), entry]}


def plain_facts(value: Any, place: str) -> Any:
    """Return facts as JSON has them: Python's numbers for NumPy's and PyTorch's, lists for arrays and tuples.

    Raises:
        UsageError: for what JSON has no form of, with its place.
    """
    if isinstance(value, Mapping):
        return {str(name): plain_facts(item, f"{place}.{name}") for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain_facts(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        return plain_facts(value.tolist(), place)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Path):
        return str(value)
    raise UsageError(
        f"describe() of the suite must return plain values for manifest.json, found "
        f"{type(value).__module__}.{type(value).__qualname__} at {place}: make it a number, a text or a list"
    )


def git_revision() -> str | None:
    """Revision of the source tree, marked where it has uncommitted changes; None outside a clone.

    An installed package may lie in someone's own repository, whose revision says nothing about this code.
    """
    root = Path(__file__).resolve().parents[2]
    where = [f"--git-dir={root / '.git'}", f"--work-tree={root}"]  # else git looks in the folders above too
    command = ["git", *where, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        if f'name = "{DISTRIBUTION}"' not in (root / "pyproject.toml").read_text(
            encoding="utf-8", errors="replace"
        ):
            return None
        result = subprocess.run(
            command, cwd=root, capture_output=True, text=True, encoding="utf-8", check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
