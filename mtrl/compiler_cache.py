"""Finds folders that PyTorch's compilers can write to and run from, before they are imported.

Importing them makes the folder already, and every optimiser of PyTorch's imports them: where the folder
cannot be made, nothing would train, compiled or not.
"""

from __future__ import annotations

import functools
import getpass
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

INDUCTOR, TRITON = "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"


@functools.cache  # once in a process, and for those that it starts
def find_compiler_caches() -> None:
    """Leave the folders that the compilers choose, or name others where these cannot be used."""
    if not any(map(_serves, _usual_folder())):
        others = list(_other_folders())
        found = next(filter(_serves, others), next(iter(others), None))
        if found is None:
            return  # the import says what is wrong
        os.environ[INDUCTOR] = str(found)
    triton = os.environ.get(TRITON)
    homes = [Path(triton)] if triton else [home / ".triton" for home in _homes()]
    if not any(map(_serves, homes)) and INDUCTOR in os.environ:
        os.environ[TRITON] = str(Path(os.environ[INDUCTOR]) / "triton")


def _usual_folder() -> list[Path]:
    """What PyTorch would take; none where it fails to find that."""
    if given := os.environ.get(INDUCTOR):
        return [Path(given)]
    with suppress(OSError, KeyError, ImportError):  # no temporary folder, or a user without a name
        return [Path(tempfile.gettempdir()) / f"torchinductor_{getpass.getuser()}"]
    return []


def _other_folders() -> Iterator[Path]:
    """Folders of this user's own, since what lies there is run."""
    name = f"mtrl-compiler-{os.getuid()}"
    places = [home / ".cache" for home in _homes()]
    with suppress(OSError):
        places.append(Path(tempfile.gettempdir()))
    for place in (*places, Path("/var/tmp"), Path("/dev/shm")):
        folder = place / name
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid == os.getuid() and not folder.is_symlink():
                yield folder


def _homes() -> list[Path]:
    with suppress(RuntimeError):
        return [Path.home()]
    return []


def _serves(folder: Path) -> bool:
    """Whether it can be written, or made, and programs may be run from there."""
    with suppress(OSError):
        nearest = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK) and _may_run(nearest)
    return False


def _may_run(folder: Path) -> bool:
    """Whether the machine lets programs run from there, which some forbid for temporary folders."""
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC
