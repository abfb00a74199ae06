from pathlib import Path

import pytest

from mtrl.analysis.commands import training_commands, training_overrides
from mtrl.analysis.grouping import choice_name, find_method, group
from mtrl.analysis.runs import find_runs
from mtrl.errors import UsageError
from tests.mtrl.analysis.made_up_runs import config, make_up_run

CONFIGS = Path(__file__).parents[3] / "configs"
CHOICES = [
    (leaf, path.stem)
    for leaf in ("env", "agent", "aggregator")
    for path in sorted((CONFIGS / leaf).glob("*.yaml"))
]
PRESETS = sorted(path.stem for path in (CONFIGS / "experiment").glob("*.yaml"))
MINE = ("experiment=toy", "aggregator._target_=my_file.Mine", "+aggregator.power=0.5")


def methods_of(tmp_path, *overrides, **options):
    for index, one in enumerate(overrides):
        make_up_run(tmp_path / str(index), "experiment=toy", *one, **options)
    return group(find_runs([tmp_path]))[0]


def labels(tmp_path, *overrides):
    return [method.label for method in methods_of(tmp_path, *overrides)]


@pytest.mark.parametrize(("leaf", "name"), CHOICES)
def test_every_choice_is_recognised(leaf, name):
    assert choice_name(config(f"{leaf}={name}"), leaf) == name


def test_a_class_of_the_users_own_goes_by_its_name():
    assert choice_name(config(*MINE), "aggregator") == "Mine"
    assert choice_name(config("agent.network._target_=my_net.Gated"), "agent") == "Gated"


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_of_a_preset_composes_the_same_configuration(name):
    overrides = (f"experiment={name}", "seed=3")
    assert config(*training_overrides(config(*overrides))) == config(*overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        *[(f"{leaf}={name}",) for leaf, name in CHOICES],
        MINE,
        ("env=custom", "env.tasks=[push-v3,door-open-v3]", "device=cpu"),
        ("aggregator=torchjd", "aggregator.name=ConFIG"),
        ("actor_aggregator=cagrad", "actor_aggregator.c=0.4", "critic_aggregator=pcgrad"),
        ("critic_aggregator._target_=my_file.Mine", "+critic_aggregator.power=0.5"),
        ("agent.critic_network={_target_: mtrl.agents.networks.OneHotMLP, hidden: [8, 8]}",),
        ("agent.network._target_=my_net.Gated", "agent.reward_scale=[1.0,2.0]"),
    ],
    ids=" ".join,
)
def test_the_command_of_a_configuration_composes_it_again(overrides):
    assert config(*training_overrides(config(*overrides))) == config(*overrides)


def test_several_seeds_make_one_loop():
    command = training_commands(config("experiment=toy"), [3, 5])
    assert command.startswith("for seed in 3 5; do\n  python scripts/train.py env=point_mass ")
    assert command.endswith(" seed=$seed\ndone")
    assert training_commands(config("experiment=toy"), [3]).endswith(" seed=3")


def test_seeds_of_one_configuration_are_one_method(tmp_path):
    for seed in (2, 0, 1):
        make_up_run(tmp_path / str(seed), seed=seed)
    (method,) = group(find_runs([tmp_path]))[0]
    assert [run.seed for run in method.runs] == [0, 1, 2]


def test_methods_are_named_by_what_differs(tmp_path):
    found = labels(tmp_path, ["aggregator=mean"], ["aggregator.c=0.2"], ["aggregator.c=0.9"])
    assert found == ["cagrad c=0.2", "cagrad c=0.9", "mean"]


def test_sides_with_aggregators_of_their_own_are_named_actor_first(tmp_path):
    found = labels(
        tmp_path,
        ["critic_aggregator=pcgrad"],
        ["critic_aggregator=pcgrad", "actor_aggregator=cagrad", "actor_aggregator.c=0.2"],
        ["aggregator=mean", "actor_aggregator=cagrad"],
        ["aggregator=pcgrad"],
    )
    assert found == ["cagrad/mean", "cagrad/pcgrad c=0.2", "cagrad/pcgrad c=0.5", "pcgrad"]


def test_what_most_methods_have_goes_without_saying(tmp_path):
    found = labels(tmp_path, ["aggregator=mean"], ["aggregator=pcgrad"], ["batch_size=64"])
    assert found == ["cagrad batch_size=64", "mean", "pcgrad"]


def test_options_without_a_value_are_named_as_a_command_says_them(tmp_path):
    found = labels(tmp_path, ["agent.actor_polyak=0.1"], [])
    assert found == ["cagrad actor_polyak=0.1", "cagrad actor_polyak=null"]


def test_agents_are_named_besides_the_plain_one(tmp_path):
    found = labels(
        tmp_path, ["aggregator=mean"], ["agent=multihead"], ["agent=single_task", "aggregator=mean"], []
    )
    assert found == ["cagrad", "mean", "multihead cagrad", "single_task"]


def test_agents_alone_are_named_by_themselves(tmp_path):
    assert labels(tmp_path, ["agent=sac"], ["agent=multihead"]) == ["multihead", "sac"]


def test_options_that_do_not_change_what_is_learnt_make_no_method(tmp_path):
    same = ["log_interval=7", "evaluation_interval=9", "device=cpu", "keep_checkpoints=1"]
    methods = methods_of(tmp_path, [], same)
    assert len(methods) == 1


def test_of_two_runs_with_one_seed_the_finished_then_the_newer_counts(tmp_path):
    make_up_run(tmp_path / "a", finished=False)
    make_up_run(tmp_path / "b", created="2030-01-01")
    make_up_run(tmp_path / "c", created="2030-01-02")
    (method,), notes = group(find_runs([tmp_path]))
    assert [run.path.name for run in method.runs] == ["c"]
    assert len(notes) == 2


def test_a_baseline_is_found_by_label_aggregator_or_agent(tmp_path):
    methods = methods_of(tmp_path, ["aggregator=mean"], ["aggregator.c=0.2"], ["aggregator.c=0.9"])
    assert find_method(methods, "cagrad c=0.2").label == "cagrad c=0.2"
    assert find_method(methods, "mean").label == "mean"
    for name in ("cagrad", "moco"):
        with pytest.raises(
            UsageError, match=f"found '{name}'; choose one of: 'cagrad c=0.2', 'cagrad c=0.9'"
        ):
            find_method(methods, name)
