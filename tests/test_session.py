"""The time of a session: what is left out, and what it costs to take too long."""

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture
def session(pytester):
    pytester.makepyfile("def test_nothing(): pass")

    def call(*options):
        return pytester.runpytest_inprocess("-p", "tests.session", *options)

    return call


def test_a_session_over_its_budget_fails_and_says_so(session):
    ended = session("--budget", "0")
    assert ended.ret == pytest.ExitCode.TESTS_FAILED
    ended.assert_outcomes(passed=1)
    ended.stdout.fnmatch_lines("*more than its budget of 0 s*")


def test_a_session_within_its_budget_passes(session):
    ended = session("--budget", "10000")
    assert ended.ret == pytest.ExitCode.OK
    ended.stdout.no_fnmatch_line("*more than its budget*")


def test_what_is_not_begun_in_time_is_skipped(session):
    session("--enough", "0").assert_outcomes(skipped=1)
