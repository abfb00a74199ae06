"""Whatever lies in the current directory stands in for nothing of ours, and of no library of ours."""

import tomllib

import pytest

from tests.docs.commands import ROOT
from tests.strange_directory import (
    MINE,
    OF_MINE,
    SHORT,
    Door,
    finished,
    lay_out,
    train_and_look,
    train_metaworld_with_a_worker,
)


@pytest.fixture(scope="module")
def editable(tmp_path_factory):
    """What an editable install makes: ``mtrl`` alone on the path, and programs in a folder of their own."""
    site = tmp_path_factory.mktemp("site")
    (site / "mtrl").symlink_to(ROOT / "mtrl")
    (site / "bin").mkdir()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name, entry in project["scripts"].items():
        module, function = entry.split(":")
        program = f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        (site / "bin" / name).write_text(program)
    return site


def test_the_installed_programs_are_themselves_in_any_directory(editable, tmp_path):
    lay_out(tmp_path)
    door = Door(tmp_path, editable, lambda program: [str(editable / "bin" / f"mtrl-{program}")])
    train_and_look(door)
    train_metaworld_with_a_worker(door)


def test_so_are_the_modules_that_python_starts_by_name(editable, tmp_path):
    lay_out(tmp_path)
    door = Door(tmp_path, editable, lambda program: ["-m", f"mtrl.cli.{program}"])
    door.call("train", *SHORT, *OF_MINE, "run_dir=out")
    door.call("evaluate", "out", "--episodes", "2")


def test_a_sweep_by_a_clones_script_runs_the_clones_code(editable, tmp_path):
    lay_out(tmp_path)
    (tmp_path / "mtrl").mkdir()
    (tmp_path / "mtrl" / "__init__.py").write_text("raise SystemExit(0)")  # would end as if all were well
    door = Door(tmp_path, editable, lambda program: [str(ROOT / "scripts" / f"{program}.py")])
    door.call("train", "-m", *SHORT, "run_dir=study")
    (config,) = tmp_path.glob("study/*/config.yaml")
    assert finished(config.parent)


def test_a_users_file_may_be_named_as_a_program_beside_the_clones_script(tmp_path):
    (tmp_path / "toy.py").write_text(MINE)
    door = Door(tmp_path, ROOT, lambda program: [str(ROOT / "scripts" / f"{program}.py")])
    door.call("train", *SHORT, "aggregator._target_=toy.FirstTask", "run_dir=out")
    door.call("train", "-m", *SHORT, "aggregator._target_=toy.FirstTask", "run_dir='a study'")
    (config,) = tmp_path.glob("a study/*/config.yaml")
    assert finished(config.parent)
    door.call("evaluate", "out", "--episodes", "2")


@pytest.mark.parametrize("name", ["agents", "envs", "configs", "scripts"])
def test_only_mtrl_can_be_imported(name, editable, tmp_path):
    door = Door(tmp_path, editable, None)
    door.python(f"import mtrl, importlib.util; assert importlib.util.find_spec({name!r}) is None")
