"""Lists the tests that a change can affect, nearest first:  python scripts/affected_tests.py --since HEAD.

A changed module has the test that mirrors it, the contract of its folder, and the tests that import it;
a changed helper of tests those that import it; a document or a configuration the tests of its kind. What a
change does to modules further away is for the whole suite to find.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ALWAYS = ("tests/test_architecture.py", "tests/docs/test_layout.py")  # of all files, within a second
OF_KINDS = {
    "configs/": ("tests/configs", "tests/mtrl/config/test_method_facts.py"),
    "docs/": ("tests/docs",),
    "README.md": ("tests/docs",),
    "CONTRIBUTING.md": ("tests/docs",),
    "Makefile": ("tests/docs/test_readme.py",),
    "pyproject.toml": ("tests/docs/test_installation.py",),
}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--since", default="HEAD", help="the commit that files are compared with (HEAD)")
    print(*affected(changed_files(parser.parse_args().since), ROOT))


def changed_files(since: str) -> list[str]:
    """Files that differ from a commit or are not yet in one, from the repository's root."""
    ask = (["diff", "--name-only", since], ["ls-files", "--others", "--exclude-standard"])
    answers = (
        subprocess.run(
            ["git", *words], cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8"
        ).stdout
        for words in ask
    )
    return [name for answer in answers for name in answer.splitlines()]


def affected(changed: Iterable[str], root: Path) -> list[str]:
    """Paths of tests, each once: mirrors, then contracts, then those that import what changed."""
    changed = list(changed)
    tests = {path: set(imports(path)) for path in sorted((root / "tests").rglob("*.py"))}
    touched = {module(name) for name in changed if name.endswith(".py")}
    helpers = {path for path, names in tests.items() if names & touched and not _is_test(path)}
    touched |= {module(str(path.relative_to(root))) for path in helpers}
    near = [name for name in changed if name.startswith("tests/") and _is_test(Path(name))]
    near += [mirror for name in changed for mirror in mirrors(name)]
    kinds = [
        test for name in changed for kind, of in OF_KINDS.items() if name.startswith(kind) for test in of
    ]
    importers = [str(path.relative_to(root)) for path, names in tests.items() if names & touched]
    found = [*ALWAYS, *near, *kinds, *importers]
    exists = (name for name in found if (root / name).is_dir() or _is_test(root / name))
    return list(dict.fromkeys(exists))


def mirrors(name: str) -> list[str]:
    """Where the tests of a module are, and the contract of its folder."""
    path = Path(name)
    folder = Path("tests") / path.parent
    if path.suffix != ".py" or path.parts[0] == "tests":
        return []
    return [str(folder / f"test_{path.stem}.py"), str(folder / "test_contract.py")]


def module(name: str) -> str:
    """The dotted name that a file is imported by."""
    parts = list(Path(name).with_suffix("").parts)
    if parts[0] in ("agents", "envs", "configs"):
        parts.insert(0, "mtrl")
    elif parts[0] == "scripts":
        parts.pop(0)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports, and names from them, which may be modules."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_test(path: Path) -> bool:
    return (
        path.name.startswith("test_") and path.suffix == ".py" and (not path.is_absolute() or path.is_file())
    )


if __name__ == "__main__":
    main()
