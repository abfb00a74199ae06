"""Records a policy at work:  python scripts/record.py RUN_DIR --task door-open-v3 --out video.mp4."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]  # this folder, whose toy.py or benchmark.py would hide a user's own

from mtrl.cli.record import main

if __name__ == "__main__":
    main()
