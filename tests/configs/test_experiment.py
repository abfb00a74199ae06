"""The presets for the papers' tables, held against the figures that the papers report."""

import re
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from metaworld import env_dict
from omegaconf import OmegaConf

from mtrl.agents.sac import SAC
from mtrl.config.build import build_agent, training_config
from mtrl.config.compose import compose_config
from mtrl.types import SuiteSpec

CONFIGS = Path(__file__).parents[2] / "configs"
PRESET_FILES = set(CONFIGS.glob("experiment/mt*.yaml"))
PRESETS = sorted(path.stem for path in PRESET_FILES)
PUBLISHED = OmegaConf.to_container(OmegaConf.load(CONFIGS / "published.yaml"))


def preset(name):
    config = compose_config([f"experiment={name}"])
    suite = name.split("_")[0].upper()
    assert config.env.name == suite
    return config, SuiteSpec(tuple(getattr(env_dict, f"{suite}_V3")), 39, 4, 500, 50)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_its_agent(name):
    config, spec = preset(name)
    training = training_config(config)
    assert training.steps_per_task == 2_000_000
    assert training.batch_size == (128 if spec.num_tasks == 10 else 26)
    agent = build_agent(config, spec, torch.device("meta"), None)
    assert isinstance(agent, SAC)
    assert agent.policy.log_std == "tanh"
    assert agent.actor.aggregator.num_tasks == spec.num_tasks


def test_every_preset_has_its_published_results_and_every_result_its_preset():
    assert sorted(PUBLISHED["results"]) == PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_the_summary_states_the_published_figure(name):
    summary = (CONFIGS / "experiment" / f"{name}.yaml").read_text().splitlines()[1]
    results = PUBLISHED["results"][name]
    for result in results:
        assert f"published {result['success']:.2f} ± {result['spread']:.3f} (" in summary
    if results:
        paper = PUBLISHED["papers"][results[0]["paper"]]
        assert summary.endswith(f"{paper['table']}, {paper['seeds']} seeds)")
    else:
        assert summary.endswith("none published")


def test_the_published_constants_of_the_aggregators():
    fast10, fast50 = (preset(f"{suite}_cagrad_fast")[0].aggregator for suite in ("mt10", "mt50"))
    assert (fast10.size, fast10.inner.c, fast50.size, fast50.inner.c) == (4, 0.9, 8, 0.5)
    for suite, c, rate in (("mt10", 0.9, 25), ("mt50", 0.5, 50)):
        cagrad = preset(f"{suite}_cagrad")[0].aggregator
        assert (cagrad.c, cagrad.solver, cagrad.learning_rate) == (c, "sgd", rate)
        moco = preset(f"{suite}_moco")[0].aggregator
        assert (moco.beta, moco.gamma, moco.rho) == (0.99, 10, 0)


# Presets of no paper, with their suites.
OWN = {
    "toy": "point_mass",
    "two_tasks": "custom",
    "four_tasks": "custom",
    "quick_mt10": "MT10",
    "hour_mt10": "MT10",
    "evening_mt10": "MT10",
    "evening_mt50": "MT50",
    "gpu_mt10": "MT10",
    "gpu_mt50": "MT50",
}


@pytest.mark.parametrize("name", OWN)
def test_a_preset_of_no_paper_makes_the_updates_that_it_says(name):
    config = compose_config([f"experiment={name}"])
    suite, training = OWN[name], training_config(config)
    named = config.env.get("name", config.env._target_.rpartition(".")[2])
    assert named == {"point_mass": "PointMassSuite"}.get(suite, suite)
    assert training.steps_per_task % training.evaluation_interval == 0
    text = (CONFIGS / "experiment" / f"{name}.yaml").read_text()
    for stated in re.findall(r"^steps_per_task: .*?([\d,]+) updates", text, re.MULTILINE):
        vector_steps = training.steps_per_task / config.env.copies - training.warmup_steps
        assert vector_steps * training.updates_per_step == int(stated.replace(",", ""))
    tasks = tuple(getattr(env_dict, f"{suite}_V3")) if suite.startswith("MT") else ("reach-v3", "push-v3")
    agent = build_agent(config, SuiteSpec(tasks, 39, 4, 200, 50), torch.device("meta"), None)
    assert agent.actor.aggregator.num_tasks == len(tasks)


def test_every_preset_is_in_one_of_the_tables():
    assert {path.stem for path in set(CONFIGS.glob("experiment/*.yaml")) - PRESET_FILES} == set(OWN)


@pytest.mark.parametrize(
    "path", sorted(set(CONFIGS.glob("experiment/*.yaml")) - PRESET_FILES), ids=attrgetter("stem")
)
def test_a_preset_of_no_paper_takes_any_aggregator(path):
    """One that sets an option of its own aggregator could not be swept over others."""
    assert "aggregator" not in OmegaConf.load(path)
