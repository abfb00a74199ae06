"""Composes a configuration from the overrides of a command line, and explains what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.resources import files
from threading import RLock
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.core.utils import JobRuntime
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.version import VersionBase
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from mtrl.config.allowed_classes import OPTIONAL, SIDES
from mtrl.errors import UsageError

GROUPS = ("env", "agent", "aggregator", *SIDES, "logger", "experiment", "launcher")
LAUNCHERS = {"ray": "hydra-ray-launcher", "submitit_slurm": "hydra-submitit-launcher"}  # to their packages
# What a program that uses Hydra too has set.
OF_A_PROCESS = (GlobalHydra, HydraConfig, JobRuntime, VersionBase)
COMPOSING = RLock()  # Hydra composes for one thread at a time


def compose_config(overrides: list[str]) -> DictConfig:
    """The configuration that ``overrides`` select.

    Raises:
        UsageError: for an unknown group, choice or option, with the valid ones listed.
    """
    return compose_choices(overrides)[0]


def compose_choices(overrides: list[str]) -> tuple[DictConfig, dict[str, Any]]:
    """The configuration that ``overrides`` select, and the choice made in each group; None for no choice."""
    with hydra_for_configs():
        try:
            _require_choices(overrides)
            config = compose("train", overrides=overrides, return_hydra_config=True)
            choices = dict(config.hydra.runtime.choices)
            with open_dict(config):
                del config["hydra"]
            return config, choices
        except MissingConfigException as error:
            group, _, choice = str(error.missing_cfg_file).rpartition("/")
            if group == "hydra/launcher" and choice in LAUNCHERS:
                raise UsageError(
                    f"launcher {choice!r} is not installed: pip install {LAUNCHERS[choice]}"
                ) from error
            raise UsageError(_unknown(group, choice, error.options or [])) from error
        except (HydraException, OmegaConfBaseException) as error:
            raise UsageError(_explain(error, overrides)) from error


@contextmanager
def hydra_for_configs() -> Iterator[None]:
    """Hydra with the package's configurations; one that the process uses already is as before afterwards."""
    with COMPOSING:
        Plugins.instance(), ConfigStore.instance()  # which are shared
        before = Singleton.get_state()
        shared = {kind: one for kind, one in before["instances"].items() if kind not in OF_A_PROCESS}
        Singleton.set_state(before | {"instances": shared})
        try:
            with initialize_config_module("mtrl.configs", version_base="1.3"):
                yield
        finally:
            Singleton.set_state(before)


def _require_choices(overrides: list[str]) -> None:
    """Raise for a choice that is no name: Hydra would take a path to another file."""
    for override in OverridesParser.create().parse_overrides(overrides):
        group = override.key_or_group
        if group in GROUPS and not override.is_delete() and not override.is_sweep_override():
            choice = override.value()
            named = isinstance(choice, str) and re.fullmatch(r"\w+", choice)
            if not named and (group, choice) != ("experiment", None):
                names = (path.name for path in files("mtrl.configs").joinpath(group).iterdir())
                valid = [name.removesuffix(".yaml") for name in names if name.endswith(".yaml")]
                raise UsageError(_unknown(group, choice, valid))


def _unknown(group: str, choice: Any, valid: Iterable[str]) -> str:
    """The message for a choice that a group does not have."""
    names = sorted(valid)
    close = get_close_matches(str(choice), names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    mine = f"; write a class of your own as {group}._target_={choice}" if _is_dotted(choice) else ""
    return f"unknown {group} {choice!r}{hint}; choose one of: {', '.join(names)}{mine}"


def _is_dotted(choice: object) -> bool:
    return isinstance(choice, str) and re.fullmatch(r"\w+(\.\w+)+", choice) is not None


def _explain(error: Exception, overrides: list[str]) -> str:
    """One line for a composition error; an unknown option gets the valid ones."""
    message = str(error).splitlines()[0]
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: write OPTION=VALUE or GROUP=CHOICE; --help lists them"
    unknown = re.match(r"Could not override '([^']+)'", message)
    if not isinstance(error, ConfigCompositionException) or unknown is None:
        return f"{message}: {str(error.__cause__).splitlines()[0]}" if error.__cause__ else message
    key = unknown.group(1)
    parent, _, name = key.rpartition(".")
    groups = [override for override in overrides if override.split("=")[0] in GROUPS]
    node = OmegaConf.select(compose("train", overrides=groups), parent) if parent else compose("train")
    if not isinstance(node, DictConfig):
        return f"unknown option {key!r}"
    if parent in OPTIONAL and node.get("_target_") is None:
        return f"unknown option {key!r}: choose {parent} first, {parent}=NAME"
    valid = sorted(str(option) for option in node)
    close = get_close_matches(name, valid, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown option {key!r}{hint}; choose one of: {', '.join(valid)}; +{key}=... adds a new one"
