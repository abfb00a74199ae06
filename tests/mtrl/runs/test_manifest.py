"""Which revision a run says it was made with."""

import subprocess
from pathlib import Path

import pytest

from mtrl.runs import manifest
from tests.docs.commands import ROOT


def git(folder, *arguments):
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(
        ["git", *author, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def theirs(tmp_path):
    """Someone's own repository, with a commit."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "theirs"\n')
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "theirs")
    return tmp_path


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no clone")
def test_a_clone_has_its_own_revision_whatever_repository_is_at_hand(theirs, monkeypatch):
    monkeypatch.chdir(theirs)
    monkeypatch.setenv("GIT_DIR", str(theirs / ".git"))
    revision = manifest.git_revision()
    monkeypatch.delenv("GIT_DIR")
    assert revision.removesuffix("-dirty") == git(ROOT, "rev-parse", "HEAD")


@pytest.mark.parametrize("place", [".venv/lib/python3/site-packages/mtrl", "mtrl"])
def test_a_repository_that_holds_an_installation_is_not_ours(place, theirs, monkeypatch):
    monkeypatch.setattr(manifest, "__file__", str(theirs / place / "runs" / "manifest.py"))
    assert manifest.git_revision() is None


def test_the_distribution_has_the_name_that_is_looked_for():
    assert f'name = "{manifest.DISTRIBUTION}"' in Path(ROOT / "pyproject.toml").read_text()
