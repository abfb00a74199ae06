"""Small changes of code, and whether tests notice them."""

import mutants
import pytest

TEXT = """
def larger(a: int = 3, b: int = 4) -> int:
    if a < b:
        return max(a, -b) + 1
    raise ValueError(f"{a + b}")
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A module and a test that holds part of it."""
    (tmp_path / "mtrl").mkdir()
    (tmp_path / "mtrl" / "sizes.py").write_text("def double(x):\n    return 2 * x + 0\n")
    tests = tmp_path / "tests" / "mtrl"
    tests.mkdir(parents=True)
    (tests / "test_sizes.py").write_text(
        "from runpy import run_path\nFILE = __file__.replace('tests/mtrl/test_', 'mtrl/')\n"
        "def test_double():\n    assert run_path(FILE)['double'](2) == 4\n"
    )
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    return tmp_path


def test_each_change_is_of_one_expression_that_computes():
    found = {(mutant.before, mutant.after) for mutant in mutants.mutants("a.py", TEXT)}
    assert found == {
        ("3", "6"),
        ("4", "8"),
        ("a < b", "(a <= b)"),
        ("max(a, -b)", "(min(a, -b))"),
        ("-b", "(b)"),
        ("max(a, -b) + 1", "(max(a, -b) - 1)"),
        ("1", "2"),
    }
    for mutant in mutants.mutants("a.py", TEXT):
        compile(mutant.text, "a.py", "exec")
        assert mutant.text != TEXT


def test_what_a_test_notices_is_killed_and_the_file_is_as_before(project):
    text = (project / "mtrl" / "sizes.py").read_text()
    fates = {
        mutant.before: mutants.is_killed(project, mutant, timeout=100)
        for mutant in mutants.mutants("mtrl/sizes.py", text)
        if mutant.before in ("2", "2 * x + 0")
    }
    assert fates == {"2": True, "2 * x + 0": False}
    assert (project / "mtrl" / "sizes.py").read_text() == text
