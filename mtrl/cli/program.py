"""Runs the body of a program: errors become one line, and every kind of ending has its exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from mtrl.errors import EnvironmentFailedError, OutputError, StorageError, UsageError

FAILED, USAGE_ERROR, SIGNALLED = 1, 2, 128  # plus the number of the signal, as shells count
READER_GONE = SIGNALLED + signal.SIGPIPE
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # no mistake in what was typed


def find_modules_here(*runs: Path) -> None:
    """Let a configuration name a user's own classes, in files beside where the command is typed.

    Not where that is inside one of the directories ``runs`` that are read: they may be a stranger's, and
    their files stay data.
    """
    here = Path.cwd()
    if not any(here.is_relative_to(run.resolve()) for run in runs) and str(here) not in sys.path:
        sys.path.append(str(here))


def run_program(body: Callable[[], None]) -> None:
    """Run ``body``; errors that are no bug of the program end it with one line on stderr.

    The exit status is 2 for a user's error, 1 for numbers that are no longer finite, for environments that
    cannot go on and for a disk that takes no more, 130 for Ctrl-C, 141 where the reader of the output has
    gone.
    """
    try:
        try:
            body()
        except SystemExit:
            _flush()
            raise
        _flush()
    except SystemExit as exit:
        if isinstance(exit.__context__, BrokenPipeError):  # rich's answer to a reader that has gone
            _abandon_output(READER_GONE)
        raise
    except UsageError as error:
        _leave(error, USAGE_ERROR)
    except OutputError as error:
        _leave(error, READER_GONE if isinstance(error.error, BrokenPipeError) else FAILED)
    except (FloatingPointError, EnvironmentFailedError, StorageError) as error:
        _leave(error, FAILED)
    except BrokenPipeError:
        _abandon_output(READER_GONE)
    except OSError as error:  # a file that was named is none, or may not be read or written
        full = error.errno in DISK
        _leave(f"{error.filename or 'output'}: {error.strerror or error}", FAILED if full else USAGE_ERROR)
    except KeyboardInterrupt:
        _leave("interrupted", SIGNALLED + signal.SIGINT)


def _flush() -> None:
    """Write what is printed now, where a failure has a status, and not when the interpreter ends."""
    if sys.stdout is not None:
        sys.stdout.flush()


def leave(status: int, text: str) -> NoReturn:
    """Print a last line, if anything still shows it, and exit."""
    with suppress(OSError):
        print(text, flush=True)
    _abandon_output(status)


def _leave(reason: Exception | str, status: int) -> NoReturn:
    line = " ".join(str(reason).split())
    # A file's words must not command the terminal.
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    with suppress(OSError):
        print(f"error: {line}", file=sys.stderr, flush=True)
    _abandon_output(status)


def _abandon_output(status: int) -> NoReturn:
    """Exit; what the output did not take is let go, which Python would otherwise try once more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    raise SystemExit(status) from None
