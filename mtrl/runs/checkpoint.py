"""Saves and loads checkpoints: files that are whole or absent and run no code when loaded.

A file is one line of text, the header, and then what ``torch.save`` writes. The header names the format, the
release that wrote it, and the size and SHA-256 of the rest:
``mtrl-checkpoint format=2 release=0.1.0 bytes=5120 sha256=9f86...``.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtrl import __version__
from mtrl.errors import DamagedFileError, EnvironmentFailedError, StorageError, UsageError, require
from mtrl.runs.shared_storage import sync, sync_directory

FORMAT = 2
# What torch.load(weights_only=True) admits. A subclass, as NumPy's float64 is one of float, is another type.
PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.Size, torch.dtype, torch.device)
CONTAINERS = (list, tuple, set)
HEADER = re.compile(rb"mtrl-checkpoint format=(\d+) release=(\S+) bytes=(\d+) sha256=([0-9a-f]{64})\n")
MAX_HEADER_BYTES = 300


def save(path: Path, state: dict[str, Any]) -> str:
    """Write ``state``, made of tensors, numbers, strings, dicts and lists, all or not at all.

    Once this returns, the file survives a loss of power.

    Returns:
        The SHA-256 of the content.

    Raises:
        UsageError: for a state that could not be loaded.
        StorageError: if the disk does not take it; an earlier file of that name is left whole.
    """
    require_loadable(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getbuffer()
    digest = hashlib.sha256(content).hexdigest()
    header = f"mtrl-checkpoint format={FORMAT} release={__version__} bytes={len(content)} sha256={digest}\n"
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as file:
                file.write(header.encode())
                file.write(content)
                file.flush()
                sync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise StorageError(path, error) from error
    return digest


def load(path: Path, device: torch.device, digest: str | None = None) -> dict[str, Any]:
    """Read what :func:`save` wrote, tensors onto ``device``.

    Args:
        path: the file.
        device: where the tensors go.
        digest: what :func:`save` returned, to be sure that it is the same file.

    Raises:
        DamagedFileError: if the file is missing or not as it was written.
        UsageError: if it is of another format version.
    """
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"no checkpoint at {path}: {error.strerror}") from error
    if whole.startswith(b"PK"):
        raise _other_format(path, "1", "a version before 0.1.0")
    found = HEADER.match(whole[:MAX_HEADER_BYTES])
    if found is None:
        reason = "its first line is damaged" if whole else "the file is empty"
        raise DamagedFileError(f"cannot read checkpoint {path}: {reason}")
    written, release = found.group(1).decode(), found.group(2).decode(errors="replace")
    if written != str(FORMAT):
        raise _other_format(path, written, f"mtrl {release}")
    content = memoryview(whole)[found.end() :]
    if len(content) != int(found.group(3)):
        raise DamagedFileError(
            f"cannot read checkpoint {path}: it has {len(content)} of {int(found.group(3))} bytes"
        )
    actual = hashlib.sha256(content).hexdigest()
    if actual != found.group(4).decode():
        raise DamagedFileError(
            f"cannot read checkpoint {path}: its checksum is wrong, the content has changed"
        )
    if digest is not None and actual != digest:
        raise DamagedFileError(f"{path} is not the file that was written at this place: its checksum differs")
    try:
        with warnings.catch_warnings():  # the error says it all
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    except Exception as error:  # whatever a content that is no state makes PyTorch raise
        reason = (str(error) or "it holds nothing").splitlines()[0]
        raise DamagedFileError(f"cannot read checkpoint {path}: {reason}") from error
    require(isinstance(state, dict), f"checkpoint {path} must hold a dict, found {type(state).__name__}")
    return state


def require_loadable(state: Any, place: str = "") -> None:
    """Raise :class:`~mtrl.errors.UsageError` for what :func:`load` would refuse, and say where it is."""
    kind = type(state)
    if kind in (dict, OrderedDict):
        for name, value in state.items():
            require_loadable(name, f"a key of {place or 'the state'}")
            require_loadable(value, f"{place}.{name}".lstrip("."))
    elif kind in CONTAINERS:
        for index, value in enumerate(state):
            require_loadable(value, f"{place}[{index}]")
    else:
        require(
            kind in (Tensor, nn.Parameter, *PLAIN),
            f"{place or 'the state'} must be a tensor or a plain value of Python's, to be loaded from a "
            f"checkpoint; found {kind.__module__}.{kind.__qualname__}: return a tensor, or such as "
            "float(value) or array.tolist(), from state_dict or get_extra_state",
        )


@contextmanager
def state_errors(source: object) -> Iterator[None]:
    """Turn the errors of a state that loads but does not fit into a user's errors.

    Args:
        source: where the state comes from, for the message.

    Raises:
        DamagedFileError: for a state that lacks an entry, or has one of another kind.
        UsageError: for one of another size or out of range.
    """
    try:
        yield
    except (DamagedFileError, EnvironmentFailedError, StorageError):
        raise
    except UsageError as error:
        raise UsageError(f"{source} does not fit: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        reason = (str(error) or "nothing").splitlines()[0]
        raise DamagedFileError(
            f"{source} is not what a run of this configuration and release saves "
            f"({type(error).__name__}: {reason})"
        ) from error


def _other_format(path: Path, written: str, release: str) -> UsageError:
    return UsageError(
        f"checkpoint {path} has format {written}, written by {release}; "
        f"this is mtrl {__version__}, which reads format {FORMAT}: "
        "use the release that wrote it"
    )
