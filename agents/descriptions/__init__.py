"""Loads the vectors of one descriptive sentence for each task.

``sentences.json`` is for people; ``vectors.npz`` is what ``scripts/embed_descriptions.py`` makes of it: one
float32 array of unit norm for each task name. Nothing is embedded or downloaded at run time.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from mtrl.errors import UsageError, require

SHIPPED = files(__name__).joinpath("vectors.npz")


def task_vectors(task_names: Sequence[str], file: str | None = None) -> Tensor:
    """Load the vectors of the tasks' sentences, scaled to a mean square of one, on the host.

    Args:
        task_names: K names.
        file: a ``.npz`` with an array [E] for each task name; None for the one that comes with the package.

    Returns:
        [K, E], float32.

    Raises:
        UsageError: for a task without a vector, or a file that cannot be read.
    """
    valid = file is None or (isinstance(file, str) and file != "" and file.isprintable())
    require(valid, f"descriptions must be the path of a .npz file or null, found {file!r}")
    if file is None:
        with as_file(SHIPPED) as path:
            known = _read(path)
    else:
        known = _read(Path(file))
    missing = [name for name in task_names if name not in known]
    remedy = (
        "add it to agents/descriptions/sentences.json and run scripts/embed_descriptions.py, or give your "
        "own vectors with agent.network.descriptions=FILE.npz"
        if file is None
        else f"add it to {file}"
    )
    require(not missing, f"descriptions must cover every task, found none for {', '.join(missing)}; {remedy}")
    shapes = {known[name].shape for name in task_names}
    require(
        len(shapes) == 1 and len(next(iter(shapes))) == 1,
        f"descriptions must be vectors of one size, found shapes {sorted(shapes)} in {file}",
    )
    vectors = torch.stack([torch.from_numpy(known[name]).float() for name in task_names])  # [K, E]
    return vectors / vectors.square().mean(1, keepdim=True).sqrt()


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path) as archive:
            return dict(archive)
    except (OSError, EOFError, ValueError, TypeError, BadZipFile) as error:
        raise UsageError(
            f"descriptions must be a .npz file with a vector for each task, cannot read {path}: {error}"
        ) from error
