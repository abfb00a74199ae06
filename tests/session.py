"""Keeps a session short, and within the time that it may take."""

from __future__ import annotations

import gc
import time

import pytest

BEGIN = time.monotonic()
# Whole programs and processes: begun last, one of them would keep one worker waiting for the other.
LONG = ("tests/mtrl/cli/", "tests/docs/", "tests/mtrl/config/test_sweep.py", "tests/scripts/")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("time")
    group.addoption(
        "--budget", type=float, default=float("inf"), help="fail a session that takes longer, in seconds"
    )
    group.addoption(
        "--enough", type=float, default=float("inf"), help="skip what is not begun by then, in seconds"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first; those of a file stay together, for they share fixtures."""
    items.sort(key=lambda item: not item.nodeid.startswith((*LONG, "tests/test_")))


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end: modules, and thousands of tests."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if time.monotonic() - BEGIN > item.config.getoption("--enough"):
        pytest.skip("time is up; make test runs all")


def _overdrawn(config: pytest.Config) -> bool:
    return time.monotonic() - BEGIN > config.getoption("--budget")


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _overdrawn(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _overdrawn(config):
        terminalreporter.write_line(
            f"the session took {time.monotonic() - BEGIN:.0f} s, more than its budget of "
            f"{config.getoption('--budget'):.0f} s: make the slowest tests above faster, or mark them slow",
            red=True,
        )
