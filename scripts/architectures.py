"""What agents there are and how large they are:  python scripts/architectures.py."""

from mtrl.cli.architectures import main

if __name__ == "__main__":
    main()
