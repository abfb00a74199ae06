"""Holds and checks the options of the training loop: steps, replay, evaluations, checkpoints, speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from mtrl.gradients.choice import Gradients
from mtrl.training.nonfinite import OnDivergence
from mtrl.validation import (
    MAX_BATCH_SIZE,
    MAX_STEPS,
    require_choice,
    require_flag,
    require_integer,
    require_number,
)

Precision = Literal["auto", "fp32", "bf16", "tf32"]
Switch = bool | Literal["auto"]


@dataclass(frozen=True)
class TrainingConfig:
    """All counts of steps are environment steps of one task, unless a name says otherwise.

    The defaults are those of configs/train.yaml; a test holds the two against each other.

    Raises:
        UsageError: for a value outside its range.
    """

    steps_per_task: int = 2_000_000
    warmup_steps: int = 1500  # vector steps with random actions and without updates
    batch_size: int = 128  # transitions of each task in an update
    updates_per_step: float = 1.0  # per vector step, after the warm-up
    exploration_rate: float = 0.0  # of random actions that are held for a while; see training/exploring.py
    replay_capacity: int = 200_000  # transitions kept per task
    log_interval: int = 1000
    conflict_interval: int = 100  # updates between two measurements of gradient conflict
    evaluation_interval: int = 50_000
    evaluation_episodes: int = 10  # per task, along the way
    final_episodes: int = 50  # per task, for the final figure
    keep_checkpoints: int = 3
    checkpoint_minutes: float = 5.0  # between two checkpoints, besides those at evaluations
    on_divergence: OnDivergence = "stop"
    checkpoint_replay: bool = True  # without it the replay refills after a resume
    compile: Switch = "auto"  # updates by torch.compile; auto: where this machine can and the run is long
    precision: Precision = "auto"  # of the networks' passes in an update; auto: tf32 on CUDA, else fp32
    cudagraphs: Switch = "auto"  # vector steps replayed as recorded graphs; auto: on CUDA
    task_chunk: int | None = None  # tasks whose gradients are computed at once; None: all
    gradients: Gradients = "auto"  # a row for each task, or the factors of each layer's

    def __post_init__(self) -> None:
        for name in ("steps_per_task", "log_interval", "conflict_interval", "evaluation_interval"):
            require_integer(name, getattr(self, name), 1, MAX_STEPS)
        for name in ("evaluation_episodes", "final_episodes", "keep_checkpoints", "replay_capacity"):
            require_integer(name, getattr(self, name), 1, MAX_STEPS)
        require_integer(
            "warmup_steps", self.warmup_steps, 1, MAX_STEPS, "an update needs a transition of every task"
        )
        require_integer("batch_size", self.batch_size, 1, MAX_BATCH_SIZE, "128 is usual")
        require_number("updates_per_step", self.updates_per_step, above=0, high=1000, remedy="1 is usual")
        require_number("exploration_rate", self.exploration_rate, low=0, high=1, remedy="0.05 is much")
        require_number("checkpoint_minutes", self.checkpoint_minutes, above=0, remedy="5 is usual")
        require_flag("checkpoint_replay", self.checkpoint_replay)
        for name in ("compile", "cudagraphs"):
            if getattr(self, name) != "auto":
                require_flag(name, getattr(self, name), "or auto")
        require_choice("precision", self.precision, get_args(Precision))
        require_choice("gradients", self.gradients, get_args(Gradients))
        if self.task_chunk is not None:
            require_integer("task_chunk", self.task_chunk, 1, MAX_STEPS, "null computes all tasks at once")
        require_choice("on_divergence", self.on_divergence, ("stop", "skip"))

    def updates(self, copies: int) -> float:
        """How many the whole run has, about, with so many copies of each task's environment."""
        return self.steps_per_task / copies * self.updates_per_step
