"""Defines the errors that a user, an environment, a file or a disk causes, as opposed to a bug."""

from __future__ import annotations

from pathlib import Path

from mtrl.path_overrides import resuming


class UsageError(ValueError):
    """A value, name or path that a user gave is not acceptable.

    The message names the parameter, the rule, the value found and the remedy. The programs print
    it as one line and exit with status 2.
    """


def require(condition: bool, message: str) -> None:
    """Raise :class:`UsageError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise UsageError(message)


def name_of(thing: object) -> str:
    """Return MODULE.CLASS of an object or a class, for messages."""
    kind = thing if isinstance(thing, type) else type(thing)
    return f"{kind.__module__}.{kind.__qualname__}"


class EnvironmentFailedError(RuntimeError):
    """An environment raised or its process ended, and trying again did not help or cannot.

    The message names the task and the cause. The programs exit with status 1.
    """


def endless(task: str, horizon: int) -> str:
    """Say that an episode does not end where the suite's does, for messages."""
    return (
        f"task {task}: an episode did not end after {horizon} steps, the horizon of the suite's spec: step() "
        "must say truncated there, or the spec a larger horizon"
    )


class EpisodesLostError(RuntimeError):
    """A process that steps environments ended and was replaced; every running episode starts again."""


class DamagedFileError(UsageError):
    """A file of a run is missing or not as it was written; an older checkpoint may be intact."""


class StorageError(RuntimeError):
    """The disk cannot store what a run has to write. The programs exit with status 1."""

    def __init__(self, path: Path, error: OSError) -> None:
        run = next((folder for folder in (path, *path.parents) if (folder / "config.yaml").is_file()), None)
        remedy = "start it again"
        if run is not None:
            remedy = f"continue the run: {resuming(run)}, or in Python run_dir={str(run)!r} and resume=True"
        super().__init__(
            f"cannot write {path}: {error.strerror or error}; what was written before is intact; "
            f"free or repair the disk, then {remedy}"
        )


class OutputError(RuntimeError):
    """The output that a run reports to takes no more; a checkpoint is written first.

    The programs exit with status 1, or 141, as after SIGPIPE, where a reader has gone.
    """

    def __init__(self, error: OSError, remedy: str) -> None:
        super().__init__(f"cannot write to the output: {error.strerror or error}; {remedy}")
        self.error = error
        self.remedy = remedy


class DivergenceError(FloatingPointError):
    """Losses or gradients are no longer finite. The programs exit with status 1."""
