"""Which options tell runs apart, besides their seed."""

from dataclasses import fields

from mtrl.config.learning_options import OPTIONS, learning_options, plain
from mtrl.training.config import TrainingConfig
from tests.composed import composed

# Of these runs differ in speed, in memory and in what they leave behind, not in what they learn.
OTHERS = {
    *("log_interval", "conflict_interval", "evaluation_interval", "evaluation_episodes", "final_episodes"),
    *("keep_checkpoints", "checkpoint_minutes", "checkpoint_replay", "on_divergence"),
    *("compile", "cudagraphs", "task_chunk", "gradients"),
}


def test_every_option_of_the_loop_is_known_to_change_what_is_learnt_or_not_to():
    assert {field.name for field in fields(TrainingConfig)} == {*OPTIONS, *OTHERS}


def test_runs_that_explore_or_average_differently_are_not_one_method():
    kinds = ((), ("exploration_rate=0.1",), ("agent.actor_polyak=0.1",))
    found = [learning_options(plain(composed("experiment=toy", *options))) for options in kinds]
    assert all(found.count(options) == 1 for options in found)
