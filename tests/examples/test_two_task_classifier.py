import pytest


def test_both_tasks_are_learned():
    pytest.importorskip("sklearn")
    from examples.two_task_classifier import main

    digit, parity = main(steps=60)
    assert digit > 0.6  # chance is 0.1
    assert parity > 0.7  # chance is 0.5
