"""Prints the deviation of each case, in a process of its own whose Triton interprets kernels on the CPU."""

from __future__ import annotations

import json
import sys

import torch

from tests.mtrl.aggregators._kernels.comparison import deviation


def main() -> None:
    torch.set_num_threads(1)
    cases = json.loads(sys.argv[1])
    print(json.dumps([deviation(*case) for case in cases]))


if __name__ == "__main__":
    main()
