"""Exports a policy to a file that needs PyTorch alone:  python scripts/export.py RUN_DIR --out policy.pt2."""

from mtrl.cli.export import main

if __name__ == "__main__":
    main()
