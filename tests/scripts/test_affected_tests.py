"""The tests that a change can affect."""

import pytest
from affected_tests import affected, module

from tests.docs.commands import ROOT


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        ("mtrl/aggregators/cagrad.py", ["tests/mtrl/aggregators/test_cagrad.py"]),
        ("mtrl/aggregators/cagrad.py", ["tests/mtrl/aggregators/test_contract.py"]),
        ("agents/sac.py", ["tests/agents/test_sac.py"]),
        ("mtrl/replay.py", ["tests/mtrl/test_replay.py", "tests/agents/test_accelerated.py"]),
        ("tests/tiny_run.py", ["tests/mtrl/cli/test_train.py"]),
        ("tests/mtrl/test_errors.py", ["tests/mtrl/test_errors.py"]),
        ("docs/metrics.md", ["tests/docs"]),
        ("configs/agent/sac.yaml", ["tests/configs"]),
    ],
)
def test_a_change_has_the_tests_beside_it_and_those_that_use_it(changed, tests):
    found = affected([changed], ROOT)
    assert set(tests) <= set(found)
    assert all((ROOT / test).exists() for test in found)
    assert len(found) == len(set(found)) < 40


def test_the_mirror_comes_before_tests_that_only_import_it():
    found = affected(["mtrl/replay.py"], ROOT)
    assert found.index("tests/mtrl/test_replay.py") < found.index("tests/agents/test_accelerated.py")


def test_what_is_gone_has_no_tests_of_its_own():
    assert affected(["mtrl/aggregators/gone.py", "tests/test_gone.py"], ROOT) == [
        "tests/test_architecture.py",
        "tests/docs/test_layout.py",
        "tests/mtrl/aggregators/test_contract.py",
    ]


def test_modules_have_the_names_that_they_are_imported_by():
    names = {"agents/networks/__init__.py": "mtrl.agents.networks", "scripts/soak.py": "soak"}
    assert {module(file) for file in names} == set(names.values())
