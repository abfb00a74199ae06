"""Holds the command-line programs: each parses, calls and prints."""

import os
import re
import sys
from io import TextIOWrapper
from pathlib import Path

# `python -m mtrl.cli.train` puts the current directory before all that is installed, so that a rich.py there
# would be taken for the library. The programs that pip installs do not, and neither shall this; a user's own
# classes are found all the same, after everything else. Where this package itself lies there, it stays first.
_STARTED_HERE = sys.argv[:1] == ["-m"] and re.search(r" -\w*m ?mtrl\.cli\.", " ".join(sys.orig_argv))
if _STARTED_HERE and not sys.flags.safe_path and Path(sys.path[0]) != Path(__file__).parents[2]:
    del sys.path[0]

# Threads of PyTorch's that wait for each other shall sleep: where they spin, a core that another process
# takes meanwhile makes an update many times slower. OpenMP reads this once, when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A terminal that cannot show a character gets another one for it, and the run goes on.
for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")
