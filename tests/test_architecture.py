import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "mtrl": {"agents", "envs", "configs", "scripts", "hydra", "omegaconf"},
    "agents": {"envs", "configs", "scripts", "hydra", "omegaconf"},
    "envs": {"agents", "configs", "scripts", "hydra", "omegaconf", "torch"},
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not FORBIDDEN[package] & set(imported(path)), path


def test_every_package_is_installed():
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = [ROOT / name for name in (*FORBIDDEN, "configs", "scripts")]
    found = {path.parent for folder in folders for path in folder.rglob("__init__.py")}
    assert {".".join(path.relative_to(ROOT).parts) for path in found} == set(listed)
