"""An option has one default: what a YAML says is what its class does when it is not told."""

import importlib
import inspect
from dataclasses import fields
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mtrl.config.allowed_classes import LEAVES
from mtrl.config.compose import compose_config
from mtrl.training.config import TrainingConfig

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = [(leaf, path.stem) for leaf in LEAVES for path in sorted((CONFIGS / leaf).glob("*.yaml"))]
# What these two papers set otherwise than SAC does of itself.
OF_A_PAPER = {
    "brc": {
        "weight_decay",
        "temperature",
        "initial_temperature",
        "target_entropy",
        "reward_scale",
        "normalize_rewards",
    },
    "soft_modular": {"task_weights"},
}


def test_the_loop_has_the_defaults_of_the_configuration():
    config = compose_config([])
    assert {field.name: config[field.name] for field in fields(TrainingConfig)} == vars(TrainingConfig())


@pytest.mark.parametrize(("leaf", "name"), FILES)
def test_a_class_has_the_defaults_of_its_configuration(leaf, name):
    config = OmegaConf.to_container(compose_config([f"{leaf}={name}"]), resolve=True)
    differing = set(differences(config[leaf]))
    assert differing == OF_A_PAPER.get(name, set())


def differences(node):
    """The names of options whose class has another default, or has no such option."""
    defaults = defaults_of(node["_target_"])
    for name, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            yield from differences(value)
        elif name not in ("_target_", "_partial_"):
            default = defaults.get(name, "no such option")
            default = list(default) if isinstance(default, tuple) else default
            if default is not inspect.Parameter.empty and default != value:
                yield name


def defaults_of(target):
    """By option; also of those that a class or function passes on to its base, or to what it returns."""
    module, _, name = target.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    returned = () if isinstance(found, type) else (inspect.signature(found, eval_str=True).return_annotation,)
    makers = [kind.__init__ for kind in (found.__mro__ if isinstance(found, type) else returned)]
    signatures = map(inspect.signature, [found, *makers])
    parameters = [signature.parameters.items() for signature in signatures]
    return {name: option.default for items in reversed(parameters) for name, option in items}
