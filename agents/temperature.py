"""Learns how much entropy weighs against reward (Haarnoja et al., 2018, equation 18)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from mtrl.agents.optimizer import AdamW, load_optimizer_state
from mtrl.validation import require_choice, require_number

MIN_ALPHA, MAX_ALPHA = 1e-10, 1e10  # float32 holds their logarithms and their products with rewards
MAX_ENTROPY = 1e10  # in nats, of either sign


class Temperature:
    """Learns α for each task, in its logarithm, outside any aggregator.

    Args:
        num_tasks: K.
        device: where α lives.
        initial: α at the start.
        target_entropy: the entropy that α is tuned towards, in nats.
        learning_rate: Adam's.
        scope: "per_task", or "shared" for one α that follows the mean over the tasks.

    Attributes:
        log_alpha: log α, [K] or [1].
    """

    def __init__(
        self,
        num_tasks: int,
        device: torch.device,
        *,
        initial: float,
        target_entropy: float,
        learning_rate: float,
        scope: Literal["per_task", "shared"],
    ) -> None:
        require_number("initial_temperature", initial, low=MIN_ALPHA, high=MAX_ALPHA)
        require_number("target_entropy", target_entropy, low=-MAX_ENTROPY, high=MAX_ENTROPY)
        require_choice("temperature", scope, ("per_task", "shared"))
        self.target_entropy = target_entropy
        count = num_tasks if scope == "per_task" else 1
        self.log_alpha = nn.Parameter(torch.full((count,), initial, device=device).log())  # [K] or [1]
        self.optimizer = AdamW([self.log_alpha], learning_rate)

    def step(self, entropy: Tensor) -> None:
        """Move α up where the ``entropy`` [K] of the policy is below its target, down where it is above."""
        # The gradient of −α(log π + target entropy) in log α is the loss itself.
        slope = self.log_alpha.detach().exp() * (entropy - self.target_entropy)  # [K]
        self.optimizer.move([slope if self.log_alpha.numel() > 1 else slope.mean(0, keepdim=True)])

    def state_dict(self) -> dict[str, Any]:
        """Return everything that learning changes."""
        return {"log_alpha": self.log_alpha.detach(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned."""
        with torch.no_grad():
            self.log_alpha.copy_(state["log_alpha"])
        load_optimizer_state(self.optimizer, state["optimizer"])
