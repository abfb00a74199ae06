"""Packs a run's policy into a small folder to hand on:  python scripts/pack.py RUN_DIR --out FOLDER."""

import sys
from importlib.util import find_spec
from pathlib import Path

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own
    if find_spec("mtrl") is None:  # an unpacked tree that is not installed
        sys.path.append(str(Path(__file__).resolve().parents[1]))

from mtrl.cli.pack import main

if __name__ == "__main__":
    main()
