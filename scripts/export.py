"""Exports a policy to a file that needs PyTorch alone:  python scripts/export.py RUN_DIR --out policy.pt2."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.export import main

if __name__ == "__main__":
    main()
