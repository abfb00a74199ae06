"""Prints the deviation of each case, in a process of its own whose Triton interprets kernels on the CPU.

Of a case that names no method it prints CAGrad's disadvantage.
"""

from __future__ import annotations

import json
import sys

import torch
from triton.runtime.interpreter import InterpretedFunction, _patch_lang

from tests.mtrl.aggregators._kernels.comparison import deviation, disadvantage

PATCHED: set[str] = set()


def call_inside(function: InterpretedFunction, *arguments: object, **options: object) -> object:
    """Call a function inside of a kernel as Triton does, which patches its language again at each such call.

    That is half of its time, and without effect from the second function of a module on.
    """
    if function.fn.__module__ not in PATCHED:
        PATCHED.add(function.fn.__module__)
        _patch_lang(function.fn)
    return function.rewrite()(*arguments, **options)


def main() -> None:
    torch.set_num_threads(1)
    InterpretedFunction.__call__ = call_inside
    cases = json.loads(sys.argv[1])
    print(json.dumps([deviation(*case) if len(case) == 3 else disadvantage(*case) for case in cases]))


if __name__ == "__main__":
    main()
