"""What a run says of itself where there is no terminal."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from mtrl.training import progress
from mtrl.training.evaluation import Evaluation
from mtrl.training.progress import Display, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (99, "99 s"),
        (100, "2 min"),
        (5970, "100 min"),
        (11_100, "3 h 05 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_are_in_the_units_one_thinks_in(seconds, words):
    assert duration(seconds) == words.replace("100 min", "1 h 40 min")


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_lines_tell_the_time_left_and_come_where_reports_do_not(clock):
    out = io.StringIO()
    with Display(Console(file=out, width=80), total_steps=100) as display:
        for step in range(1, 41):
            clock[0] += 2
            display.advance(step)
        display.report(40, 10.0, 5.0, None)
        clock[0] += 1
        display.finished(100, Evaluation(("a",), np.array([[True, False]]), np.zeros((1, 2))), "runs/x")
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["step 16/100  3 min left", "step 32/100  2 min left"]
    assert lines[2] == "step 40/100  10 steps/s  5.0 updates/s  2 min left"
    assert lines[3:] == [
        "finished after 100 steps per task: success 0.500, 2 episodes each",
        "run: runs/x",
    ]
