"""Multi-task reinforcement learning with gradient aggregation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtrl.autograd import backward

__all__ = ["backward"]


def __getattr__(name: str) -> Any:
    # On first use, so that importing a light part of the package, such as the types, stays cheap.
    if name == "backward":
        from mtrl.autograd import backward

        return backward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
