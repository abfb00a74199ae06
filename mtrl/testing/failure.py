"""Says how a part breaks its contract, and why that matters."""

from __future__ import annotations

import torch
from torch import Tensor


class ContractError(AssertionError):
    """A part does not keep what the rest of mtrl relies on."""


def hold(condition: bool | Tensor, broken: str) -> None:
    """Raise :class:`ContractError` with ``broken`` unless ``condition`` holds."""
    if not condition:
        raise ContractError(broken)


def close(found: Tensor, expected: Tensor, broken: str, *, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Raise :class:`ContractError` with ``broken`` unless two tensors are equal up to rounding."""
    try:
        torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)
    except AssertionError as error:
        difference = " ".join(str(error).split())
        raise ContractError(f"{broken} ({difference})") from None
