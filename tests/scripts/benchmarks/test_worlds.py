import sys

import benchmark

from benchmarks import worlds
from tests.mtrl.training.device_suite import PointsSuite


def test_it_times_the_parts_of_a_step(monkeypatch, capsys):
    monkeypatch.setattr(worlds, "benchmark", lambda *_, copies, **__: PointsSuite(seed=0, copies=copies))
    words = ["benchmark.py", "worlds", "--copies", "2", "--repeats", "2", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    benchmark.main()
    printed = capsys.readouterr().out
    assert "physics" in printed
    assert "environment steps per second" in printed
