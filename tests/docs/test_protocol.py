"""The commands about evidence, run as the documents show them."""

import importlib
import re
import shutil
from pathlib import Path

import pytest

from mtrl.analysis.figures.gallery import draw_gallery
from mtrl.analysis.results import gather
from mtrl.analysis.runs import find_runs
from mtrl.analysis.summary import compare_methods
from mtrl.cli import train
from tests.docs.commands import ROOT, commands
from tests.mtrl.analysis.made_up_runs import make_up_run
from tests.tiny_run import TINY

PROGRAMS = ("evaluate", "plot", "report", "compare")
SHOWN = {
    " ".join(words): words
    for document in ("README.md", "docs/protocol.md")
    for words in commands(document)
    if words[0] == "python" and words[1] in [f"scripts/{name}.py" for name in PROGRAMS]
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs with checkpoints, of two methods."""
    return tmp_path_factory.mktemp("trained") / "runs"


@pytest.mark.parametrize("name", SHOWN)
def test_every_command_works_as_shown(run, tmp_path, trained, name):
    if not trained.exists():
        for method in ("mean", "cagrad"):
            options = (*TINY, f"aggregator={method}", f"run_dir={trained / method}")
            assert run(train, *options) == 0
    shutil.copytree(trained, tmp_path / "runs")
    words = SHOWN[name]
    program = importlib.import_module(Path(words[1]).stem)
    assert run(program, *words[2:]) == 0
    if "--out" in words:
        assert (tmp_path / words[words.index("--out") + 1]).exists()


def test_every_program_is_shown():
    assert {words[1] for words in SHOWN.values()} == {f"scripts/{name}.py" for name in PROGRAMS}


def test_every_figure_is_explained(tmp_path):
    make_up_run(tmp_path / "one")
    evidence = gather(find_runs([tmp_path]))
    text = (ROOT / "docs" / "protocol.md").read_text()
    table = text.split("| figure | what it shows |")[1].split("\n\n")[0]
    explained = re.findall(r"`(\w+)`", table)
    assert set(explained) == set(draw_gallery(evidence, compare_methods(evidence))[0])
