import pytest
import torch

from mtrl import products
from mtrl.aggregators.matrix import gram_matrix
from mtrl.products import NATIVE, ONEDNN, SWITCH, float32_products

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def forget():
    """What a process has measured once."""
    for found in (products.exact, products.fastest):
        found.cache_clear()
    yield
    for found in (products.exact, products.fastest):
        found.cache_clear()


def lossy(monkeypatch):
    """A processor that multiplies in bfloat16 where it may."""
    matmul = torch.Tensor.__matmul__

    def multiply(left, right):
        if torch.get_float32_matmul_precision() == "medium" and left.dtype == torch.float32:
            return matmul(left.bfloat16(), right.bfloat16()).float()
        return matmul(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", multiply)


def slow(monkeypatch, name):
    """A processor on which one library takes twice the time."""
    factor = {SWITCH[NATIVE]: 1.0, SWITCH[ONEDNN]: 1.0, SWITCH[name]: 2.0}
    monkeypatch.setattr(products, "_seconds", lambda _: factor[torch.get_float32_matmul_precision()])


def test_the_products_of_a_run_are_float32_and_the_switch_is_restored():
    left, right = torch.randn(2, 64, 64).unbind()
    truth = left.double() @ right.double()
    with float32_products(CPU) as found:
        assert torch.get_float32_matmul_precision() == SWITCH[found.name]
        error = ((left @ right - truth).norm() / truth.norm()).item()
    assert error < 1e-6
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_faster_library_is_taken_and_no_other_where_they_are_alike(monkeypatch):
    monkeypatch.setattr(products, "exact", lambda: True)
    for loser, expected in ((NATIVE, ONEDNN), (ONEDNN, NATIVE)):
        products.fastest.cache_clear()
        slow(monkeypatch, loser)
        assert products.fastest() == expected
    products.fastest.cache_clear()
    monkeypatch.setattr(products, "_seconds", lambda _: 1.0)
    assert products.fastest() == NATIVE


def test_bfloat16_is_refused_however_fast_and_whoever_began_with_the_library(monkeypatch):
    lossy(monkeypatch)
    slow(monkeypatch, NATIVE)
    assert not products.exact()
    for wanted in (None, ONEDNN):
        with float32_products(CPU, wanted) as found:
            assert found.name == NATIVE
            assert torch.get_float32_matmul_precision() == "highest"


def test_gram_matrices_are_float32_where_products_are_not(monkeypatch):
    lossy(monkeypatch)
    gradients = torch.randn(3, 50)
    torch.set_float32_matmul_precision("medium")
    try:
        found = gram_matrix(gradients)
    finally:
        torch.set_float32_matmul_precision("highest")
    torch.testing.assert_close(found, gradients.double() @ gradients.double().T, rtol=1e-6, atol=1e-6)


def test_a_run_that_goes_on_keeps_its_library(monkeypatch):
    monkeypatch.setattr(products, "exact", lambda: True)
    for wanted in SWITCH:
        with float32_products(CPU, wanted) as found:
            assert found.name == wanted
    slow(monkeypatch, NATIVE)
    with float32_products(CPU, ["of a hostile manifest"]) as found:
        assert found.name == ONEDNN


def test_the_checksum_tells_kernels_apart(monkeypatch):
    with float32_products(CPU, NATIVE) as found:
        pass
    with float32_products(CPU, NATIVE) as again:
        pass
    assert again == found
    matmul = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: matmul(a, b) * (1 + 2**-23))
    with float32_products(CPU, NATIVE) as other:
        assert other.checksum != found.checksum
