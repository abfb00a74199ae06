"""The table of agents."""

from pathlib import Path

from mtrl.analysis.parameters import parameter_cells
from mtrl.cli import architectures
from tests.agents.built_agents import AGENTS

DOCUMENT = Path(__file__).parent.parent.parent.parent / "docs" / "agents.md"


def test_the_documented_table_is_what_the_program_prints(run, capsys):
    assert run(architectures, "--markdown") == 0
    assert capsys.readouterr().out in DOCUMENT.read_text(), "run scripts/architectures.py --markdown"


def test_every_agent_is_listed_and_documented(run, capsys):
    assert run(architectures) == 0
    listed = capsys.readouterr().out
    text = DOCUMENT.read_text()
    for agent in AGENTS:
        assert agent in listed
        assert text.count(f"| `{agent}` |") == 3, "what it is, its parameters, its learning"


def test_counts_tell_shared_from_own():
    cells = parameter_cells("multihead")
    trunk = (39 + 1) * 400 + 2 * 401 * 400
    assert cells[0] == f"{trunk:,} + 10 x {401 * 8:,}"
    assert cells[2] == f"{trunk:,} + 50 x {401 * 8:,}"
