"""Says which options of a run may change when it goes on, and writes down those that did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mtrl import __version__
from mtrl.config.learning_options import WITHOUT_EFFECT
from mtrl.config.literals import option_of
from mtrl.errors import require
from mtrl.validation import MAX_STEPS, require_integer

PLACES = ("resume", "run_dir", "device", "threads")  # options that say where, not what
# When the run is looked at, how it is stored, and how it computes what it would compute in another way too.
NEUTRAL = (
    *("log_interval", "conflict_interval", "evaluation_interval", "evaluation_episodes", "final_episodes"),
    *("record_evaluations", "keep_checkpoints", "checkpoint_minutes", "checkpoint_replay", "on_divergence"),
    *("compile", "cudagraphs", "task_chunk", "gradients", *WITHOUT_EFFECT),
)
LENGTH = "steps_per_task"

Changes = dict[str, list[Any]]  # before and after, by dotted name


def wanted_changes(config: DictConfig, overrides: Sequence[str]) -> dict[str, Any]:
    """What a command that resumes a run sets beside, by dotted name.

    Args:
        config: as composed.
        overrides: that it was composed from.

    Raises:
        UsageError: for an option that belongs to the run.
    """
    names = [name for name in map(option_of, overrides) if name not in PLACES]
    others = [text for text in overrides if option_of(text) not in (*PLACES, *NEUTRAL, LENGTH)]
    require(
        not others,
        f"resume takes the run's own configuration: remove {' '.join(others)}; what may change is "
        f"{LENGTH}, to train longer, {', '.join(PLACES[2:])}, {', '.join(NEUTRAL)}",
    )
    return {name: OmegaConf.select(config, name) for name in names}


def change(config: DictConfig, wanted: dict[str, Any]) -> Changes:
    """Set options of a run's configuration; return those that were different.

    Raises:
        UsageError: for an option of an environment that the run's has not, and for a shorter run.
    """
    changes = {}
    for name, value in wanted.items():
        place, _, option = name.rpartition(".")
        known = not place or option in OmegaConf.select(config, place)
        require(known, f"{name}: {config.env.get('_target_')} of this run has no {option}; leave it out")
        before = OmegaConf.select(config, name)
        if before == value:
            continue
        if name == LENGTH:
            require_integer(LENGTH, value, 1, MAX_STEPS)
            require(
                isinstance(before, int) and value > before,
                f"{LENGTH} must be more than the {before} of the run, to train it further; found {value}",
            )
        OmegaConf.update(config, name, value, merge=False)
        changes[name] = [_plain(before), _plain(value)]
    return changes


def for_device(config: DictConfig, kind: str) -> tuple[DictConfig, list[str]]:
    """A run's configuration on a device of another kind than it began on, and what is done without there."""
    lacking = {"cudagraphs": True, "precision": "tf32"} if kind != "cuda" else {}
    found = [name for name, value in lacking.items() if config.get(name) == value]
    notes = [f"{name}: {config[name]} needs a CUDA device: going on with auto" for name in found]
    return OmegaConf.merge(config, dict.fromkeys(found, "auto")), notes  # type: ignore[return-value]


def require_as_begun(config: DictConfig, before: dict[str, Any], suite: dict[str, Any], where: Any) -> None:
    """Raise where the seed or the suite is not the one that a run began with: it would be another run.

    Args:
        config: of the run, as it is now.
        before: its manifest.
        suite: as it would be described in the manifest of today.
        where: the run's directory.
    """
    seed = before.get("seed", config.seed)
    require(
        config.seed == seed,
        f"seed in {where}/config.yaml is {config.seed}, but the run began with {seed!r}: put that back, or "
        "train another run in another run_dir",
    )
    begun = before.get("suite", {})
    ours = before.get("versions", {}).get("mtrl") == __version__
    # A release may describe more than another one; libraries may be newer.
    names = (begun.keys() | suite.keys() if ours else begun.keys() & suite.keys()) - {"versions"}
    changed = [name for name in sorted(names) if begun.get(name) != suite.get(name)]
    first = next(iter(changed), "")
    require(
        not changed,
        f"env is not the suite that the run in {where} began with: it differs in {', '.join(changed)} "
        f"({first} was {begun.get(first)!r:.100} and is {suite.get(first)!r:.100}); give the same one, "
        "or choose another run_dir",
    )


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
