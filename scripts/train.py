"""Trains a multi-task agent:  python scripts/train.py env=mt10 aggregator=cagrad seed=0  (see --help)."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.train import main

if __name__ == "__main__":
    main()
