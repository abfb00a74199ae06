"""Finds the trained policies that come with the package: a small run directory each, beside this file."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mtrl.errors import DamagedFileError

FACTS = "policy.json"  # how a policy was made, and the digest of its weights
FOLDER = Path(__file__).resolve().parent


def names() -> list[str]:
    """Those that there are: names of folders, and nothing else."""
    return sorted(facts.parent.name for facts in FOLDER.glob(f"*/{FACTS}"))


def at(run: str | Path) -> Path:
    """The run directory that a user means.

    What lies at ``run`` counts, whatever it is. Only where nothing does, a name without a separator is that
    of a policy of the package.
    """
    text = str(run)
    separated = "/" in text or os.sep in text
    return Path(run) if separated or os.path.lexists(text) or text not in names() else FOLDER / text


def missing(path: Path) -> str:
    """Say that there is no run at ``path``, and for a name what policies there are."""
    if path.name != str(path):
        return f"no run directory at {path}"
    return (
        f"no run directory at {path}, nor a policy of that name in the package, which has "
        f"{', '.join(names()) or 'none'}"
    )


def require_weights(folder: Path) -> None:
    """Raise unless the weights are those that the folder's facts were measured with; for a run, do nothing.

    Raises:
        DamagedFileError: for a file that changed or is gone.
    """
    path = folder / FACTS
    if not path.is_file():
        return
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        weights, digest = folder / Path(facts["weights"]), facts["sha256"]
        found = hashlib.sha256(weights.read_bytes()).hexdigest()
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise DamagedFileError(
            f"{folder}: {FACTS} and the weights that it names cannot be read ({type(error).__name__}: "
            f"{error}); install the package or copy the folder again"
        ) from error
    if found != digest:
        raise DamagedFileError(
            f"{weights} has the SHA-256 {found[:12]}…, {path.name} names {str(digest)[:12]}…: the policy is "
            "damaged or another one; install the package or copy the folder again"
        )
