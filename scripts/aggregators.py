"""What methods there are and when to use them:  python scripts/aggregators.py."""

from mtrl.cli.aggregators import main

if __name__ == "__main__":
    main()
