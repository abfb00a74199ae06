"""The installed programs, away from the clone, in a directory that holds the same names."""

import subprocess
import sys

import pytest

from tests.docs.commands import ROOT
from tests.strange_directory import OF_MINE, SHORT, Door, finished, lay_out, train_and_look


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Where the wheel, and nothing else, is installed."""
    tmp_path = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "-q"]
    site = tmp_path / "site"
    wheels = tmp_path / "wheels"
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)]
    subprocess.run([*pip, *build], check=True, cwd=tmp_path)
    (wheel,) = wheels.iterdir()
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, cwd=tmp_path
    )
    assert {path.name for path in site.iterdir() if path.is_dir()} == {
        "mtrl",
        "mtrl_torch-0.2.0.dist-info",
        "bin",
    }
    return site


@pytest.fixture
def door(site, tmp_path):
    lay_out(tmp_path)
    return Door(tmp_path, site, lambda program: [str(site / "bin" / f"mtrl-{program}")])


def test_a_wheel_trains_outside_the_clone(door, site):
    modules = "import mtrl.configs as a, mtrl.agents.sac as b"
    door.python(f"{modules}; assert all(x.__file__.startswith({str(site)!r}) for x in (a, b))")
    door.call("train", *SHORT, *OF_MINE, "run_dir=out")
    assert finished(door.folder / "out")


@pytest.mark.slow
def test_so_do_its_other_programs(door):
    train_and_look(door)
