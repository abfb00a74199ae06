import os

import pytest
import soak

from tests.mtrl.cli.test_resume import start
from tests.tiny_run import TINY
from tests.waiting import wait_until


def test_a_slope_is_per_hour():
    rows = [{"seconds": 10.0 * i, "learner MB": 5 + i, "open files": 7.0} for i in range(5)]
    assert soak.slopes(rows) == pytest.approx({"learner MB": 360.0, "open files": 0.0}, abs=1e-6)


def test_memory_shared_with_children_is_counted_once():
    before = soak.measure(os.getpid())["shared KB"]
    memory = os.memfd_create("rows")
    os.truncate(memory, 50_000)
    second = os.dup(memory)
    try:
        assert soak.measure(os.getpid())["shared KB"] == pytest.approx(before + 50)
    finally:
        os.close(memory)
        os.close(second)


def test_a_run_under_way_is_watched_and_others_are_refused(tmp_path, run, capsys):
    assert run(soak, "out") == 2
    assert "no run is under way" in capsys.readouterr().err
    process = start(tmp_path, *TINY, "run_dir=out", "steps_per_task=1000000")
    try:
        wait_until((tmp_path / "out" / "metrics.jsonl").exists)
        assert run(soak, "out", "--seconds", "1", "--interval", "0.2") == 0
        watched = capsys.readouterr().out
        assert "learner MB" in watched
        assert "per hour" in watched
    finally:
        process.kill()
        process.communicate()
