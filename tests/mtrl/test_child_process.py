"""A child that is bound to its parent ends with it, whatever ends the parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
CHILD = """
import os, signal, sys, time
from mtrl.child_process import PARENT, end_with_parent
def leave(*_):
    open(sys.argv[1], "w").close()
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
end_with_parent()
assert PARENT not in os.environ
print("ready", flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys
from mtrl.child_process import bound_environment
subprocess.run([sys.executable, "-c", *sys.argv[1:]], env=bound_environment())
"""


def test_a_child_learns_that_its_parent_was_killed(tmp_path):
    told = tmp_path / "told"
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD, str(told)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout.readline() == b"ready\n"
        parent.send_signal(signal.SIGKILL)
    wait_until(told.exists)
