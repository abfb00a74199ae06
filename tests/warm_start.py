"""Starts the clone's programs in processes of their own that need not import what they run.

Most of what a tiny run costs is importing PyTorch and its compiler. Here one process imports them once, and
each program is a fork of it, with signals, an exit status and a working directory of its own. Whether
programs find what they import, tests/test_isolation.py says.
"""

import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path

from tests.waiting import PATIENCE

SCRIPTS = Path(__file__).parents[1] / "scripts"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["pytest", "torch._dynamo", "torch.utils.tensorboard", "hydra.utils", "mtrl.cli.train", "mtrl.agents.sac"]
)


class Program:
    """A program under way, with the methods of ``subprocess.Popen`` that tests use.

    Args:
        folder: its working directory.
        script: a file.
        arguments: as a shell would give them.
        prepare: called in the process before the program; a function of a module.
        alone: whether it leads a session of its own.
    """

    def __init__(self, folder, script, *arguments, prepare=None, alone=False):
        self._folder = tempfile.TemporaryDirectory()
        self._printed = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        for path in self._printed:
            path.touch()  # a program may be killed before it begins
        command = [str(script), *map(str, arguments)]
        self._process = FORKS.Process(target=_run, args=(command, folder, self._printed, prepare, alone))
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self._process.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self._process.kill()

    def communicate(self):
        """Wait for its end; what it printed, on stdout and stderr."""
        self._process.join(PATIENCE)
        assert self.returncode is not None, "the program does not end"
        return [path.read_text() for path in self._printed]


def _run(command, folder, outputs, prepare, alone):
    for descriptor, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    os.chdir(folder)
    if alone:
        os.setsid()
    if prepare is not None:
        prepare()
    sys.argv = command
    sys.orig_argv = [sys.executable, *command]
    sys.path.insert(0, str(Path(command[0]).parent))
    runpy.run_path(command[0], run_name="__main__")
