"""Turns an actor's outputs into actions, by a Gaussian squashed by tanh."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mtrl.validation import require_choice

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0


@dataclass(frozen=True)
class TanhNormal:
    """A Gaussian squashed by tanh.

    Args:
        log_std: how log σ is kept in its range: "clip", or "tanh", which bends it over the whole range, as
            facebookresearch/mtrl does.
    """

    log_std: Literal["clip", "tanh"] = "clip"

    def __post_init__(self) -> None:
        require_choice("log_std", self.log_std, ("clip", "tanh"))

    def mode(self, outputs: Tensor) -> Tensor:
        """The actions [..., A] without noise."""
        return outputs.chunk(2, dim=-1)[0].tanh()

    def sample(self, outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """A sample and its log-density.

        Args:
            outputs: mean and log standard deviation before its limits, [..., 2A].
            noise: standard normal, [..., A].

        Returns:
            actions [..., A] in (-1, 1) and log π [...].
        """
        mean, log_std = outputs.chunk(2, dim=-1)
        if self.log_std == "clip":
            log_std = F.hardtanh(log_std, LOG_STD_MIN, LOG_STD_MAX)  # a clamp with a gradient of one launch
        else:
            log_std = LOG_STD_MIN + 0.5 * (LOG_STD_MAX - LOG_STD_MIN) * (log_std.tanh() + 1)
        before = mean + log_std.exp() * noise
        # log(1 - tanh²(x)) = 2 log 2 - 2 log(2 cosh x) neither overflows nor cancels; alpha saves launches.
        log_cosh = torch.add(before, F.softplus(before, beta=-2), alpha=-2)  # x + log(1 + e^-2x)
        surprisal = torch.add(log_std, noise.square(), alpha=0.5)
        surprisal = torch.add(surprisal, log_cosh, alpha=-2).sum(-1)  # but for a constant
        constant = mean.shape[-1] * (0.5 * math.log(2 * math.pi) + 2 * math.log(2))
        return before.tanh(), -constant - surprisal
