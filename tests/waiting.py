"""Waits for what another process does."""

import time

PATIENCE = 300  # seconds: a busy machine is slow, and one that waits in vain is rare


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
