import os
import signal

import pytest

from mtrl.training.signals import Interruption


def ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_ctrl_c_waits_and_the_second_does_not():
    with Interruption() as interruption:
        ctrl_c()
        assert interruption.requested
        assert not interruption.insisted
        with pytest.raises(KeyboardInterrupt):
            ctrl_c()
        assert interruption.insisted


def test_a_section_that_may_be_abandoned_is_left_at_once():
    with Interruption() as interruption:
        with pytest.raises(KeyboardInterrupt), interruption.immediate():
            ctrl_c()
        assert interruption.requested
        assert not interruption.insisted


def test_the_handler_before_is_the_handler_afterwards():
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
