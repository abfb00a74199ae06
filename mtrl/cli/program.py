"""Runs the body of a program: errors become one line, and every kind of ending has its exit status."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from mtrl.errors import EnvironmentFailedError, StorageError, UsageError

FAILED, USAGE_ERROR, SIGNALLED = 1, 2, 128  # plus the number of the signal, as shells count


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
    cannot go on and for a disk that takes no more, 130 for Ctrl-C.
    """
    try:
        body()
    except UsageError as error:
        _leave(error, USAGE_ERROR)
    except (FloatingPointError, EnvironmentFailedError, StorageError) as error:
        _leave(error, FAILED)
    except OSError as error:  # a file that was named is none, or may not be read or written
        _leave(f"{error.filename or 'output'}: {error.strerror or error}", USAGE_ERROR)
    except KeyboardInterrupt:
        _leave("interrupted", SIGNALLED + signal.SIGINT)


def _leave(reason: Exception | str, status: int) -> NoReturn:
    line = " ".join(str(reason).split())
    # A file's words must not command the terminal.
    print(
        "error: " + "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line),
        file=sys.stderr,
    )
    raise SystemExit(status) from None
