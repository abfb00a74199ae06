"""Files that are either whole or absent, and that run no code when loaded."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from mtrl.errors import UsageError, require

FORMAT = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state``, made of tensors, numbers, strings, dicts and lists, all or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        torch.save({"format": FORMAT, **state}, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path, device: torch.device) -> dict[str, Any]:
    """Read what :func:`save` wrote, tensors onto ``device``.

    Raises:
        UsageError: if the file is missing, damaged, or from another format version.
    """
    require(path.is_file(), f"no checkpoint at {path}")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        reason = (str(error) or "the file is empty").splitlines()[0]
        raise UsageError(f"cannot read checkpoint {path}: {reason}") from error
    found = state.get("format") if isinstance(state, dict) else None
    require(found == FORMAT, f"checkpoint {path} has format {found}; this version reads format {FORMAT}")
    return state
