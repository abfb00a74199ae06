import pytest
import torch

from mtrl.errors import UsageError
from mtrl.training import threads as module
from mtrl.training.threads import choose_threads, flop_of_update, threads

CPU = torch.device("cpu")
SMALL, LARGE = flop_of_update(103_000, 640), flop_of_update(1_030_000, 6400)  # 2 x 128, 64; 3 x 400, 50 x 128


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(module, "available_cores", lambda: 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)


@pytest.mark.parametrize(
    ("flop", "workers", "device", "before", "expected"),
    [
        (SMALL, 0, CPU, None, 1),
        (LARGE, 0, CPU, None, 16),
        (LARGE, 10, CPU, None, 6),
        (LARGE, 16, CPU, None, 1),
        (LARGE, 40, CPU, None, 1),
        (LARGE, 0, torch.device("cuda"), None, 1),
        (SMALL, 0, CPU, 2, 2),
        (LARGE, 0, CPU, 64, 16),
        (SMALL, 0, CPU, "4", 1),
    ],
)
def test_threads_are_as_many_as_pay_on_free_cores(flop, workers, device, before, expected):
    found = choose_threads("auto", device=device, flop=flop, workers=workers, before=before)
    assert found == expected


def test_what_pytorch_was_given_is_the_limit(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert choose_threads("auto", device=CPU, flop=LARGE, workers=0) == 2
    assert choose_threads(4, device=CPU, flop=SMALL, workers=0) == 4


@pytest.mark.parametrize("wanted", [0, -1, 1.5, "many", True, None])
def test_a_number_that_makes_no_sense_is_refused(wanted):
    with pytest.raises(UsageError, match=r"threads must .*auto is usual"):
        choose_threads(wanted, device=CPU, flop=SMALL, workers=0)


def test_the_number_is_restored(monkeypatch):
    monkeypatch.undo()
    before = torch.get_num_threads()
    with threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
