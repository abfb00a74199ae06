import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("room", ["aggregators", "gradients"])
def test_the_tests_of_the_core_need_no_hydra(room):
    paths = sorted((ROOT / "tests" / "mtrl" / room).rglob("*.py"))
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    code = f"""
import importlib, sys
for module in {modules!r}:
    importlib.import_module(module)
assert not {{"hydra", "omegaconf"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
