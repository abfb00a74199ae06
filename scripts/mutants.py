"""Asks whether tests notice small changes:  python scripts/mutants.py mtrl/aggregators --count 50.

Each mutant is one change of one expression, in a copy of the repository: another operator, comparison or
constant, a lost minus or not, max for min, two arguments the other way round. The tests that mirror the file,
and the contract of its folder, run on it until one fails. A mutant that survives is printed: it wants a
test, or computes the same.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from affected_tests import mirrors

from mtrl.cli.program import run_program
from mtrl.errors import require

ROOT = Path(__file__).resolve().parents[1]
NO_TESTS = 5  # pytest's status
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "argmin": "argmax", "argmax": "argmin", "all": "any", "any": "all",
         "minimum": "maximum", "maximum": "minimum", "zeros": "ones", "ones": "zeros"}  # fmt: skip


class Mutant(NamedTuple):
    """One changed file."""

    file: str  # from the repository's root
    line: int
    before: str
    after: str
    text: str  # of the whole file


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", help="files or folders to change")
    parser.add_argument("--count", type=int, default=200, help="mutants, drawn evenly (200)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    parser.add_argument(
        "--timeout", type=float, default=300, help="seconds; who takes longer is killed (300)"
    )
    arguments = parser.parse_args()
    run_program(lambda: _hunt(arguments))


def _hunt(arguments: argparse.Namespace) -> None:
    files = [file for path in arguments.paths for file in _files(path)]
    texts = {file: (ROOT / file).read_text(encoding="utf-8") for file in files}
    every = [mutant for file, text in texts.items() for mutant in mutants(file, text)]
    drawn = draw(every, arguments.count, arguments.seed)
    require(bool(drawn), f"paths must hold Python files with tests beside them, found {arguments.paths}")
    killed = 0
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "copy"
        ignored = shutil.ignore_patterns(".git", ".venv", "runs", "*.egg-info", ".*_cache", "__pycache__")
        shutil.copytree(ROOT, copied, symlinks=True, ignore=ignored)
        for number, mutant in enumerate(drawn, 1):
            dies = is_killed(copied, mutant, arguments.timeout)
            killed += dies
            place = f"{'killed  ' if dies else 'SURVIVED'} {killed}/{number} {mutant.file}:{mutant.line}:"
            print(f"{place} {mutant.before}  ->  {mutant.after}", flush=True)


def draw(found: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """A sample without repetition, in random order."""
    return random.Random(seed).sample(found, min(count, len(found)))


def _files(path: str) -> Iterator[str]:
    place = ROOT / path
    for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
        name = str(file.relative_to(ROOT))
        if tests_of(name):
            yield name


def tests_of(file: str) -> list[str]:
    """The tests that a change of ``file`` should fail."""
    return [test for test in mirrors(file) if (ROOT / test).is_file()]


def is_killed(root: Path, mutant: Mutant, timeout: float) -> bool:
    """Whether a test of the changed file fails; the file is then as before."""
    path = root / mutant.file
    whole = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutant.text, encoding="utf-8")
        return any(fails(root, test, Path(mutant.file).stem, timeout) for test in tests_of(mutant.file))
    finally:
        path.write_text(whole, encoding="utf-8")


def fails(root: Path, test: str, name: str, timeout: float) -> bool:
    """Whether a file of tests fails; of a contract, the tests of what has the module's name, if any."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", test]
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    for selection in (["-k", name], []) if test.endswith("contract.py") else ([],):
        try:
            ended = subprocess.run(
                [*command, *selection], cwd=root, env=environment, capture_output=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return True
        if ended.returncode != NO_TESTS:
            return ended.returncode != 0
    return False


def mutants(file: str, text: str) -> Iterator[Mutant]:
    """Every change of ``text`` by one expression."""
    tree = ast.parse(text)
    for node in list(_expressions(tree)):
        for change in changes(node):
            end_line, end = node.end_lineno, node.end_col_offset
            if node.lineno != end_line or end is None:
                continue  # an expression over several lines holds others
            lines = text.splitlines(keepends=True)
            line = lines[node.lineno - 1].encode()
            before = line[node.col_offset : end].decode()
            after = (
                f"({ast.unparse(change)})" if not isinstance(change, ast.Constant) else ast.unparse(change)
            )
            lines[node.lineno - 1] = (line[: node.col_offset] + after.encode() + line[end:]).decode()
            yield Mutant(file, node.lineno, before, after, "".join(lines))


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions that compute: not annotations, docstrings or messages."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Call) and _is_message(child):
                continue
            if isinstance(child, (ast.JoinedStr, ast.Raise)):
                continue
            if isinstance(child, ast.expr):
                yield child
            if isinstance(child, ast.AST):
                yield from _expressions(child)


def _is_message(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    return "require" in name or name.endswith("Error") or name in ("Literal", "cast")


def changes(node: ast.expr) -> Iterator[ast.expr]:
    """What a slip of the pen could have made of an expression."""

    def changed(change: Callable[[Any], None]) -> ast.expr:
        other = copy.deepcopy(node)
        change(other)
        return other

    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield changed(lambda other: setattr(other, "op", OPERATORS[type(other.op)]()))
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
        yield changed(lambda other: setattr(other, "ops", [COMPARISONS[type(other.ops[0])]()]))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not, ast.Invert)):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        value = node.value
        yield ast.Constant(
            not value if isinstance(value, bool) else value + 1 if value in (0, 1) else 2 * value
        )
    elif isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in NAMES:
            yield changed(lambda other: setattr(other.func, "attr", NAMES[other.func.attr]))
        elif isinstance(function, ast.Name) and function.id in NAMES:
            yield changed(lambda other: setattr(other.func, "id", NAMES[other.func.id]))
        elif len(node.args) >= 2:
            yield changed(lambda other: other.args.__setitem__(slice(0, 2), other.args[1::-1]))


if __name__ == "__main__":
    main()
