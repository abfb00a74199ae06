"""The installed programs, away from the clone, in a directory that holds the same names."""

import subprocess
import sys

from tests.docs.commands import ROOT
from tests.strange_directory import Door, lay_out, train_and_look


def test_a_wheel_trains_outside_the_clone(tmp_path):
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
    here = tmp_path / "here"
    lay_out(here)
    door = Door(here, site, lambda program: [str(site / "bin" / f"mtrl-{program}")])
    modules = "import mtrl.configs as a, mtrl.agents.sac as b"
    door.python(f"{modules}; assert all(x.__file__.startswith({str(site)!r}) for x in (a, b))")
    train_and_look(door)
