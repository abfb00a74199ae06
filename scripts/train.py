"""Trains a multi-task agent:  python scripts/train.py env=mt10 aggregator=cagrad seed=0  (see --help)."""

from mtrl.cli.train import main

if __name__ == "__main__":
    main()
