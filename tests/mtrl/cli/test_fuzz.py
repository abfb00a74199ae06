"""Whatever an option is set to, the program runs, or refuses it in one line that names the option.

The options come from the composed configuration, so one that is added is under test the same day. Each case
goes the way of the real program, from the composition to three steps, an evaluation of one episode and a
checkpoint. Numbers between a dozen and a thousand million are left out: many are fine, and take long.
"""

import contextlib
import io
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mtrl.cli import train
from mtrl.cli.program import run_program
from mtrl.config.allowed_classes import LEAVES
from mtrl.config.compose import compose_config
from mtrl.training.trainer import Trainer

CONFIGS = Path(__file__).parents[3] / "configs"
GROUPS = {group: sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) for group in LEAVES}
TINY = {
    "steps_per_task": 3,
    "warmup_steps": 1,
    "batch_size": 2,
    "replay_capacity": 8,
    "log_interval": 2,
    "conflict_interval": 1,
    "evaluation_episodes": 1,
    "final_episodes": 1,
    "env.workers": 0,
    "env.horizon": 5,
    "env.tasks": "3",
    "env.num_goals": 4,
    "aggregator.size": 1,
    "agent.network.experts": 2,
}
NARROW = ("hidden", "encoder", "context", "attention", "routing")  # lists of widths


@cache
def options(choices):
    """Every option of a composed configuration, and its parents, by its dotted name."""
    overrides = [f"{group}={choice}" for group, choice in choices]
    config = OmegaConf.to_container(compose_config(overrides), resolve=False)

    def names(node, prefix):
        for name, value in node.items():
            yield prefix + name
            if isinstance(value, dict):
                yield from names(value, f"{prefix}{name}.")

    return tuple(names(config, ""))


def tiny(choices):
    """Overrides that make a run of these choices small."""
    names = options(choices)
    small = {name: value for name, value in TINY.items() if name in names}
    if dict(choices)["env"] == "custom":
        small["env.tasks"] = "[reach-v3]"
    if dict(choices)["env"] == "gymnasium":
        small["env.tasks"] = "[Pendulum-v1,Reacher-v5]"
    widths = [name for name in names if name.rpartition(".")[2] in NARROW]
    return [f"{group}={choice}" for group, choice in choices] + [
        f"{name}={value}" for name, value in (small | dict.fromkeys(widths, "[4,4]")).items()
    ]


VALUES = st.one_of(
    st.sampled_from(
        [
            "",
            "null",
            "true",
            "false",
            "[]",
            "{}",
            "[1]",
            "[[]]",
            "[null]",
            "{a:1}",
            "[1,2,3]",
            "[4,-4]",
            "[a,b]",
        ]
    ),
    st.sampled_from(["-1", "0", "1", "2", "3", "0.5", "1.0", "-0.5", "1e-3", "1e-30", "-0.0", "7"]),
    st.sampled_from(["nan", "inf", "-inf", ".nan", "1e18", "1e300", "-1e300", "1e400", "9" * 400]),
    st.sampled_from([str(10**9), str(2**31), str(2**63), str(2**64), str(10**12), str(-(10**18))]),
    st.sampled_from(["auto", "none", "exact", "cpu", "cuda", "meta", "mean", "sac", "toy", "v2", "???"]),
    st.sampled_from(["../../etc/passwd", "a/b", "/", ".", "..", "~", "~/x", "a" * 300, "/dev/null/x", "é😀"]),
    st.sampled_from(["${seed}", "${nowhere}", "${oc.env:HOME}", "${oc.env:NOWHERE}", "\\${seed}", "${", "$"]),
    st.sampled_from(["os.system", "builtins.dict", "mtrl.aggregators.Mean", "mtrl.agents.networks.MOORE"]),
    st.text(max_size=8),
)


@cache
def words():
    """By the last part of an option's name: its defaults, and the words of its comments."""
    found = {}
    for path in CONFIGS.rglob("*.yaml"):
        for name, value, note in re.findall(r"^ *(\w+): *(.*?) *# (.*)$", path.read_text(), re.MULTILINE):
            found.setdefault(name, {value} - {""}).update({value} - {""}, re.findall(r"[\w+]+", note))
    return {name: sorted(texts) for name, texts in found.items()}


LIKELY = st.sampled_from(
    ["1", "2", "3", "0", "0.5", "0.9", "1e-3", "2.0", "true", "false", "null", "[2]", "[4,4]"]
)


def values(name):
    """Mostly what the option could be meant to be."""
    told = words().get(name.rpartition(".")[2])
    return st.one_of(LIKELY, st.sampled_from(told) if told else LIKELY, VALUES)


@st.composite
def commands(draw):
    """Choices of the groups, and some options with what they are set to."""
    env = draw(st.sampled_from(["point_mass"] * 12 + ["mt1", "custom", "gymnasium", "gymnasium"]))
    # CARE has no descriptions of Gymnasium's tasks, and says so whatever else is set.
    agents = [name for name in GROUPS["agent"] if (env, name) != ("gymnasium", "care")]
    agent, aggregator = (draw(st.sampled_from(names)) for names in (agents, GROUPS["aggregator"]))
    choices = (("env", env), ("agent", agent), ("aggregator", aggregator))
    fuzzed = draw(st.lists(st.sampled_from(options(choices)), min_size=1, max_size=2, unique=True))
    return choices, {name: draw(values(name)) for name in fuzzed}


def few_steps(trainer, interruption):
    """Stands for the whole of training."""
    trainer.obs = trainer.env.reset()
    for _ in range(3):
        trainer._step()
    trainer._log(1.0, 3, 2)
    if trainer.spec.horizon <= 10:
        trainer._evaluate(1, interruption, final=True)
    trainer.save()


def outcome(choices, fuzzed):
    """Exit status and what was printed on stderr by a command, and whether it wrote anything."""
    overrides = [*tiny(choices), *(f"{name}={value}" for name, value in fuzzed.items())]

    def body():
        train.run_here(compose_config(overrides), overrides, ["runs"])

    printed, status = io.StringIO(), 0
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(contextlib.chdir(folder))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(Trainer, "_train", few_steps)
        patch.setattr(torch, "compile", lambda call, **_: call)  # which takes minutes
        patch.setattr(sys, "path", list(sys.path))
        stack.enter_context(contextlib.redirect_stderr(printed))
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        try:
            run_program(body)
        except SystemExit as exit:
            status = exit.code
        written = any(Path(folder).iterdir())
    return status, printed.getvalue(), written


def check(choices, fuzzed):
    status, error, written = outcome(choices, fuzzed)
    if status == 0:
        return
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert len(error) < 3000
    if status == 1:
        assert "finite" in error  # a choice that is allowed, and that learns nothing
        return
    assert status == 2
    assert any(name.rpartition(".")[2] in error for name in fuzzed)
    assert not written


def fuzz(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )


@fuzz(40)
@given(commands())
def test_any_value_runs_or_is_refused_in_one_line(command):
    check(*command)


@pytest.mark.slow
@fuzz(500)
@given(commands())
def test_many_values_run_or_are_refused_in_one_line(command):
    check(*command)
