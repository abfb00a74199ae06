"""Plans many runs from one command:  python scripts/train.py -m aggregator=mean,cagrad seed=range(10).

A run's directory has a name that follows from its options, so that the same command finds it again.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mtrl.config.build import resolve
from mtrl.config.changes import PLACES, is_neutral
from mtrl.config.compose import compose_config, hydra_for_configs
from mtrl.config.literals import option_of, path_of
from mtrl.config.parts import check_values
from mtrl.errors import UsageError, require

FOLDER = Path("runs") / "sweep"
MAX_CHECKED = 50  # runs that are checked one by one: each takes a tenth of a second


def plan(overrides: Sequence[str]) -> list[list[str]]:
    """The overrides of each run, checked; those of the launcher are none of theirs.

    Raises:
        UsageError: for what one of the runs would refuse. Of many runs not every combination is tried, but
            every value beside the first values of the other options.
    """
    texts = choices_of(overrides)
    for choices, text in zip(texts, overrides, strict=True):
        require(len(choices) > 0, f"{text} matches no choice; --help lists them")
        several = option_of(text) == "run_dir" and len(choices) > 1
        require(
            not several,
            "run_dir must be one folder, in which a sweep gives each run its own; where its name has a comma "
            "put it into quotes of its own, \"run_dir='a,b'\"",
        )
    require(
        all(option_of(text) != "resume" for text in overrides),
        "resume takes one run: to go on with a sweep, give the same command again",
    )
    runs = [list(chosen) for chosen in itertools.product(*texts)]
    for chosen in runs if len(runs) <= MAX_CHECKED else _one_by_one(texts):
        check_values(resolve(compose_config(chosen), chosen))
    return [[text for text in chosen if not of_launcher(text)] for chosen in runs]


def of_launcher(override: str) -> bool:
    """Whether it is about how the runs are launched: launcher=, hydra/launcher=, hydra.launcher.X= ..."""
    return option_of(override).startswith(("launcher", "hydra"))


def _one_by_one(texts: Sequence[Sequence[str]]) -> list[list[str]]:
    """The first choices of all, and each other choice beside the first ones of the others."""
    first = [choices[0] for choices in texts]
    others = [
        [*first[:place], choice, *first[place + 1 :]]
        for place, choices in enumerate(texts)
        for choice in choices[1:]
    ]
    return [first, *others]


def choices_of(overrides: Sequence[str]) -> list[list[str]]:
    """What each override stands for: itself, or one for each value of a list, ``range`` or ``glob``."""
    with hydra_for_configs():
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())  # which glob asks
        try:
            parsed = parser.parse_overrides(list(overrides))
            return [_choices(item, text) for item, text in zip(parsed, overrides, strict=True)]
        except OverrideParseException as error:
            raise UsageError(f"cannot read {error.override!r}: write OPTION=VALUE,VALUE") from error


def _choices(item: Override, text: str) -> list[str]:
    if not item.is_sweep_override():
        return [text]
    require(
        item.is_discrete_sweep(),
        f"{text} has values without end: write a list, such as {item.key_or_group}=1,2",
    )
    return [f"{item.get_key_element()}={value}" for value in item.sweep_string_iterator()]


def count(overrides: Sequence[str]) -> int:
    """How many runs of different names they stand for."""
    texts = [choices for choices in choices_of(overrides) if not of_launcher(choices[0])]
    return math.prod(len(set(choices)) for choices in texts)


def folder_of(overrides: Sequence[str]) -> Path:
    """Where a sweep's runs lie."""
    parser = OverridesParser.create()
    given = [parser.parse_override(text).value() for text in overrides if option_of(text) == "run_dir"]
    if not given or given[-1] is None:
        return FOLDER
    try:
        return path_of(OmegaConf.create({"run_dir": str(given[-1])}).run_dir)
    except OmegaConfBaseException as error:  # of an option that each run has its own of
        raise UsageError(
            f"run_dir must be one folder, in which a sweep gives each run its own, found {given[-1]}"
        ) from error


def compared(runs: Sequence[Sequence[str]]) -> set[str]:
    """The options in which the runs of a sweep differ."""
    texts = {text for overrides in runs for text in overrides}
    return {name for name, values in Counter(map(option_of, texts)).items() if values > 1}


def run_name(
    overrides: Sequence[str], choices: Sequence[str], seed: int, compared: Collection[str] = ()
) -> str:
    """The name of a run's directory: what was chosen, the seed, and a digest of what it may find out.

    Args:
        overrides: of the run.
        choices: that it is called by.
        seed: of the run.
        compared: options that tell it from other runs of its sweep, whatever they are.
    """
    named = sorted(
        text for text in overrides if not of_launcher(text) and _decides(option_of(text), compared)
    )
    digest = hashlib.sha256("\n".join(named).encode()).hexdigest()[:8]
    return f"{'_'.join(choices)}-seed{seed}-{digest}"


def _decides(option: str, compared: Collection[str]) -> bool:
    return option in compared or not (option in PLACES or is_neutral(option))
