"""An aggregator for the actor's gradients and one for the critics': from the command to the evidence."""

import torch
from omegaconf import OmegaConf

import mtrl
from mtrl.aggregators import CAGrad, Mean, PCGrad
from mtrl.cli import evaluate, train
from mtrl.config.build import build_agent, resolve
from mtrl.config.compose import compose_config
from mtrl.config.learning_options import learning_options
from mtrl.config.resume import names_of
from tests.tiny_run import TINY


def composed(*overrides):
    return resolve(compose_config(list(overrides)), list(overrides))


def sides(spec, *overrides):
    agent = build_agent(composed("agent.network.hidden=[4]", *overrides), spec, torch.device("meta"), None)
    return agent.actor.aggregator, agent.critic.aggregator


def test_both_are_as_the_common_one_unless_one_is_given(spec):
    actor, critic = sides(spec, "aggregator=mean")
    assert (type(actor), type(critic)) == (Mean, Mean)
    assert actor is not critic
    actor, critic = sides(spec, "aggregator=mean", "actor_aggregator=cagrad", "actor_aggregator.c=0.4")
    assert (type(actor), actor.c, type(critic)) == (CAGrad, 0.4, Mean)
    actor, critic = sides(spec, "critic_aggregator._target_=mtrl.aggregators.PCGrad")
    assert (type(actor), type(critic)) == (CAGrad, PCGrad)


def test_a_run_states_them_names_its_folder_by_them_and_is_found_again(run, tmp_path, capsys):
    command = [*TINY, "actor_aggregator=moco", "critic_aggregator=pcgrad", "resume=auto"]
    assert run(train, *command) == 0
    (out,) = (tmp_path / "runs" / "point_mass_sac_moco-pcgrad").iterdir()
    config = OmegaConf.load(out / "config.yaml")
    assert config.actor_aggregator.gamma == 0.1
    assert config.critic_aggregator == {"_target_": "mtrl.aggregators.PCGrad"}
    (out / "evaluations.jsonl").write_text("")  # as if the final evaluation were still to come
    assert run(train, *command) == 0
    assert list(out.parent.iterdir()) == [out]
    assert run(evaluate, str(out), "--episodes", "2") == 0
    assert "moco/pcgrad" in capsys.readouterr().out
    assert mtrl.load(out).step == 60


def test_a_run_without_them_does_not_mention_them():
    assert not {"actor_aggregator", "critic_aggregator"} & set(composed("experiment=toy"))


def test_a_class_of_the_users_own_names_the_folder():
    overrides = ["env=point_mass", "critic_aggregator._target_=my_file.Mine"]
    choices = {"env": "point_mass", "agent": "sac", "aggregator": "mean", "critic_aggregator": None}
    assert names_of(composed(*overrides), choices, {"critic_aggregator._target_"}) == [
        "point_mass",
        "sac",
        "mean-Mine",
    ]


def test_a_network_of_the_users_own_adds_its_name():
    overrides = ["experiment=toy", "agent.network._target_=my_net.Gated"]
    choices = {"env": "point_mass", "agent": "sac", "aggregator": "mean"}
    found = names_of(composed(*overrides), choices, {"agent.network._target_"})
    assert found == ["point_mass", "sac-Gated", "mean"]


def test_runs_that_learn_alike_are_one_method_however_they_say_it():
    def learnt(*overrides):
        return learning_options(OmegaConf.to_container(composed("experiment=toy", *overrides)))

    both = learnt("aggregator=pcgrad")
    assert both == learnt("actor_aggregator=pcgrad", "critic_aggregator=pcgrad")
    assert both == learnt("aggregator=pcgrad", "actor_aggregator=pcgrad")
    mixed = learnt("aggregator=pcgrad", "actor_aggregator=cagrad")
    assert mixed == learnt("actor_aggregator=cagrad", "critic_aggregator=pcgrad", "aggregator=moco")
    assert mixed != learnt("aggregator=cagrad", "actor_aggregator=pcgrad")
    assert mixed != both


def test_an_option_of_a_side_without_an_aggregator_says_what_to_do(run, capsys):
    assert run(train, *TINY, "critic_aggregator.c=0.4") == 2
    assert "choose critic_aggregator first, critic_aggregator=NAME" in capsys.readouterr().err
    assert run(train, *TINY, "+critic_aggregator.c=0.4") == 2
    assert "choose critic_aggregator first, critic_aggregator=NAME" in capsys.readouterr().err
    assert run(train, *TINY, "critic_aggregator=cagrad", "critic_aggregator.c=-1") == 2
    assert "critic_aggregator: CAGrad: c must be" in capsys.readouterr().err
