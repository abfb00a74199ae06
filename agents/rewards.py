"""Scales the rewards of a batch; the replay keeps them as they were."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtrl.errors import require
from mtrl.validation import require_flag, require_number

WINDOW = 1000  # batches over which the running mean forgets


class RewardScale:
    """Multiplies each task's rewards by a factor.

    Args:
        num_tasks: K.
        device: where the running mean lives.
        scale: one factor for all tasks, or one for each.
        normalize: also divide each task's rewards by the root of their running mean square.

    Attributes:
        changes: whether any reward comes out other than it went in.
    """

    def __init__(
        self, num_tasks: int, device: torch.device, *, scale: float | Sequence[float], normalize: bool
    ) -> None:
        scales = list(scale) if isinstance(scale, list | tuple) else [scale] * num_tasks
        require(
            len(scales) == num_tasks,
            f"reward_scale must be one number or one for each of {num_tasks} tasks, found {scale!r}",
        )
        for value in scales:
            require_number("reward_scale", value, above=0, high=1e30)
        require_flag("normalize_rewards", normalize)
        self.normalize = normalize
        self.changes = normalize or any(value != 1 for value in scales)
        self.scale = torch.tensor(scales, dtype=torch.float32, device=device)  # [K]
        self.mean_square = torch.zeros(num_tasks, device=device)  # [K]
        self.batches = torch.zeros((), device=device)

    def __call__(self, reward: Tensor) -> Tensor:
        """Scale rewards [K, B], after taking them into the running mean."""
        scale = self.scale
        if self.normalize:
            self.batches += 1
            share = 1 / self.batches.clamp(max=WINDOW)
            self.mean_square += share * (reward.square().mean(1) - self.mean_square)
            # A task that has paid nothing yet keeps its zeros.
            scale = scale * self.mean_square.clamp(min=torch.finfo(torch.float32).tiny).rsqrt()
        return scale[:, None] * reward

    def state_dict(self) -> dict[str, Tensor]:
        """Return the running mean and the number of batches in it."""
        return {"mean_square": self.mean_square, "batches": self.batches}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Load what :meth:`state_dict` returned."""
        self.mean_square.copy_(state["mean_square"])
        self.batches.copy_(state["batches"])
