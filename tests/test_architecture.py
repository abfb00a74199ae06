"""Which room of the package may import which."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = (
    *(
        "types",
        "errors",
        "policies",
        "path_overrides",
        "validation",
        "lookup",
        "machine",
        "devices",
        "products",
        "child_process",
        "compiler_cache",
        "replay",
        "vector_pool",
    ),
    *("aggregators", "gradients", "runs", "training"),
)
LAYERS = (
    CORE,
    ("agents", "envs"),
    ("configs", "config", "testing"),
    ("analysis",),
    ("experiment",),
    ("cli",),
)
LEVEL = {room: level for level, layer in enumerate(LAYERS) for room in layer}
MIN_LEVEL = {"hydra": LEVEL["config"], "omegaconf": LEVEL["config"]}  # where a library may first be imported


def files(room):
    path = ROOT / "mtrl" / room
    return list(path.resolve().rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imported(path):
    """Every module that a file imports, whether at its head or within a function or a string."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports out"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def test_every_room_has_a_layer():
    entries = (path for path in (ROOT / "mtrl").iterdir() if path.suffix == ".py" or path.is_dir())
    rooms = {path.stem for path in entries} - {"__init__", "__pycache__"}
    assert rooms <= set(LEVEL)
    assert all(files(room) for room in rooms)


@pytest.mark.parametrize("room", LEVEL)
def test_imports_run_one_way(room):
    for path in files(room):
        for name in imported(path):
            head, *rest = name.split(".")
            if head == "mtrl" and rest and rest[0] in LEVEL:
                same = room == rest[0] or room in CORE
                assert LEVEL[rest[0]] < LEVEL[room] or (same and LEVEL[rest[0]] <= LEVEL[room]), (path, name)
            assert MIN_LEVEL.get(head, 0) <= LEVEL[room], (path, name)


def test_workers_need_no_torch_for_what_they_import():
    paths = [path for path in files("envs") if "warp" not in path.parts]  # that needs no workers
    names = {name.split(".")[0] for path in paths for name in imported(path)}
    assert "torch" not in names


def test_nothing_but_mtrl_is_installed():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert tools["packages"]["find"]["include"] == ["mtrl", "mtrl.*"]


def test_every_folder_of_the_package_is_one_of_its_packages():
    folders = {path.parent for room in LEVEL for path in files(room)}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_no_program_imports_another():
    """What two programs need has a room of its own, where Python finds it too."""
    shared = {"mtrl.cli.program", "mtrl.cli.help", "mtrl.cli.ending"}
    for path in files("cli"):
        modules = {".".join(name.split(".")[:3]) for name in imported(path) if name.startswith("mtrl.cli.")}
        assert modules <= shared, path
