import os
import subprocess
import sys
from pathlib import Path

import pytest

from mtrl import compiler_cache
from mtrl.compiler_cache import INDUCTOR, TRITON, find_compiler_caches

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def find(monkeypatch, tmp_path):
    """Looks for the folders anew; what it sets is undone."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (INDUCTOR, TRITON):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return find_compiler_caches.__wrapped__


def test_folders_that_work_are_left_alone(find, monkeypatch, tmp_path):
    monkeypatch.setenv(INDUCTOR, str(tmp_path / "mine"))
    find()
    assert os.environ[INDUCTOR] == str(tmp_path / "mine")
    assert TRITON not in os.environ


@pytest.mark.parametrize("why", ["no folder", "nothing may run there"])
def test_others_are_named_where_the_usual_ones_cannot_be_used(find, monkeypatch, tmp_path, why):
    usual = Path("/dev/null/cache") if why == "no folder" else tmp_path / "noexec"
    monkeypatch.setattr(compiler_cache, "_may_run", lambda folder: folder != tmp_path)
    for name in (INDUCTOR, TRITON):
        monkeypatch.setenv(name, str(usual))
    find()
    own = tmp_path / "home" / ".cache" / f"mtrl-compiler-{os.getuid()}"
    assert (os.environ[INDUCTOR], os.environ[TRITON]) == (str(own), str(own / "triton"))
    assert own.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_an_agent_is_made_without_home_and_caches():
    """The import of PyTorch's compiler, which makes its folder, happens once in a process."""
    code = (
        "import torch; from mtrl.agents.optimizer import AdamW; "
        "AdamW([torch.nn.Parameter(torch.zeros(3))], 0.1)"
    )
    nowhere = dict.fromkeys((INDUCTOR, TRITON, "HOME"), "/dev/null/x") | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=os.environ | nowhere, check=True)
