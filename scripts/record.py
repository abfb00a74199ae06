"""Records a policy at work:  python scripts/record.py RUN_DIR --task door-open-v3 --out video.mp4."""

from mtrl.cli.record import main

if __name__ == "__main__":
    main()
