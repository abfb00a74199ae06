"""The programs run from an unpacked tree, with nothing of it installed."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
WITHOUT_MTRL = """
import runpy, sys
from pathlib import Path
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in str(finder)]
sys.path = [sys.argv[1]] + [path for path in sys.path if path and not (Path(path) / "mtrl").exists()]
sys.argv = ["program", "--help"]
runpy.run_path(sys.path[0] + "/" + "NAME", run_name="__main__")
"""


@pytest.mark.parametrize("name", ["train.py", "aggregators.py"])
def test_a_program_finds_the_package_beside_it(name, tmp_path):
    command = [sys.executable, "-c", WITHOUT_MTRL.replace("NAME", name), str(SCRIPTS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "aggregator" in done.stdout
