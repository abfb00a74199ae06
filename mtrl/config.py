"""The options of a training run that are not the environment's, the agent's or the aggregator's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mtrl.divergence import OnDivergence
from mtrl.errors import require

Precision = Literal["fp32", "bf16", "tf32"]


@dataclass(frozen=True)
class TrainingConfig:
    """All counts of steps are environment steps of one task, unless a name says otherwise.

    Raises:
        UsageError: for a value outside its range.
    """

    steps_per_task: int
    warmup_steps: int  # vector steps with random actions and without updates
    batch_size: int  # transitions of each task in an update
    updates_per_step: float  # per vector step, after the warm-up
    replay_capacity: int  # transitions kept per task
    log_interval: int
    conflict_interval: int  # updates between two measurements of gradient conflict
    evaluation_interval: int
    evaluation_episodes: int  # per task, along the way
    final_episodes: int  # per task, for the final figure
    keep_checkpoints: int
    checkpoint_minutes: float  # between two checkpoints, besides those at evaluations
    on_divergence: OnDivergence
    checkpoint_replay: bool  # without it the replay refills after a resume
    compile: bool  # gradients and aggregation by torch.compile
    precision: Precision  # of the networks' passes in an update
    cudagraphs: bool  # updates replayed as one recorded graph, on CUDA only
    task_chunk: int | None  # tasks whose gradients are computed at once; None: all

    def __post_init__(self) -> None:
        for name in (
            "steps_per_task",
            "batch_size",
            "replay_capacity",
            "log_interval",
            "conflict_interval",
            "evaluation_interval",
            "evaluation_episodes",
            "final_episodes",
            "keep_checkpoints",
        ):
            value = getattr(self, name)
            valid = isinstance(value, int) and value >= 1
            require(valid, f"{name} must be a positive integer, found {value!r}")
        valid = isinstance(self.warmup_steps, int) and self.warmup_steps >= 1
        require(
            valid,
            f"warmup_steps must be a positive integer, found {self.warmup_steps!r}: "
            "an update needs at least one transition per task",
        )
        require(
            self.checkpoint_minutes > 0,
            f"checkpoint_minutes must be above 0, found {self.checkpoint_minutes!r}; 5 is usual",
        )
        for name in ("checkpoint_replay", "compile", "cudagraphs"):
            value = getattr(self, name)
            require(isinstance(value, bool), f"{name} must be true or false, found {value!r}")
        require(
            self.precision in get_args(Precision),
            f"precision must be fp32, bf16 or tf32, found {self.precision!r}",
        )
        chunk = self.task_chunk
        require(
            chunk is None or (isinstance(chunk, int) and chunk >= 1),
            f"task_chunk must be a positive integer or null, found {chunk!r}",
        )
        require(
            self.on_divergence in ("stop", "skip"),
            f"on_divergence must be stop or skip, found {self.on_divergence!r}",
        )
        require(
            self.updates_per_step > 0, f"updates_per_step must be above 0, found {self.updates_per_step!r}"
        )
