"""What breaks a run is named: the user's class, and what it has to keep; one line, by the real command."""

import textwrap

import pytest

from mtrl.cli import train
from tests.tiny_run import TINY

MINE = """
import numpy as np
import torch
from torch import nn

from mtrl.agents.networks import OneHotMLP
from mtrl.aggregators import GramAggregator
from mtrl.envs.point_mass import PointMassSuite, PointMassTask


class Broken(GramAggregator):
    "Divides by zero."

    def weights(self, gram, losses, shares):
        return 0 * shares / 0


def suite(**changes):
    "A suite whose tasks' steps are changed at the thirteenth."

    class Task(PointMassTask):
        def step(self, action):
            found = super().step(action)
            if self._time == 13:
                new = {name: change(getattr(found, name)) for name, change in changes.items()}
                return found._replace(**new)
            return found

    class Suite(PointMassSuite):
        def _task(self, k):
            task = super()._task(k)
            task.__class__ = Task
            return task

    return Suite


class Blind(suite(obs=lambda obs: obs * np.nan)): ...
class Rich(suite(reward=lambda _: 1e300)): ...
class Short(suite(obs=lambda obs: obs[:1])): ...


class Endless(PointMassSuite):
    def _task(self, k):
        task = super()._task(k)
        task._horizon = 10**6
        return task


class Nameless(PointMassSuite):
    def __init__(self, **options):
        super().__init__(**options)
        del self.spec


class Twice(PointMassSuite):
    def __init__(self, **options):
        super().__init__(**options)
        self.spec = self.spec._replace(task_names=("a", "b", "a", "c"))


class Odd(PointMassSuite):
    def describe(self):
        return super().describe() | {"odd": object()}


class Logarithm(OneHotMLP):
    def forward(self, task, *inputs):
        return super().forward(task, *inputs).log()


class Narrow(OneHotMLP):
    def forward(self, task, *inputs):
        return super().forward(task, *inputs)[..., :1]


class Flaky(OneHotMLP):
    def forward(self, task, *inputs):
        raise KeyError("weights")


class Norm(OneHotMLP):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.norm = nn.BatchNorm1d(8)


class Drop(OneHotMLP):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.drop = nn.Dropout(0.1)


class Counter(OneHotMLP):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, task, *inputs):
        self.count += 1
        return super().forward(task, *inputs)
"""


@pytest.mark.parametrize(
    ("place", "name", "status", "words"),
    [
        (
            "aggregator",
            "Broken",
            1,
            "step 10: not finite: the direction of the critic|my_file.Broken made it",
        ),
        ("env", "Blind", 1, "task turn-0, copy 0: the observation must be finite, found nan|my_file.Blind"),
        ("env", "Rich", 1, "step 13: the reward must be finite, in float32 too, found 1e+300|my_file.Rich"),
        ("env", "Short", 1, "must give an observation of shape [6]|found [1]|turn-0"),
        ("env", "Endless", 1, "turn-0, copy 0: an episode did not end after 30 steps|my_file.Endless"),
        ("env", "Nameless", 2, "my_file.Nameless must have an attribute spec, a mtrl.types.SuiteSpec"),
        ("env", "Twice", 2, "my_file.Twice.spec.task_names must differ from each other, found a more"),
        ("env", "Odd", 2, "plain values for manifest.json, found builtins.object at env.odd"),
        ("agent.network", "Logarithm", 1, "the action must be finite|small (at most|my_file.Logarithm"),
        (
            "agent.network",
            "Narrow",
            2,
            "my_file.Narrow) must return [B, sizes.outputs], here [2, 4]; found [2, 1]",
        ),
        (
            "agent.network",
            "Flaky",
            2,
            "my_file.Flaky) fails for one task|KeyError: 'weights' (my_file.py, line ",
        ),
        ("agent.network", "Norm", 2, "my_file.Norm) holds a BatchNorm1d|take nn.LayerNorm"),
        ("agent.network", "Drop", 2, "my_file.Drop) holds a Dropout"),
        ("agent.network", "Counter", 2, "my_file.Counter) changes a buffer in forward"),
    ],
)
def test_what_breaks_a_run_is_named(run, tmp_path, capsys, place, name, status, words):
    (tmp_path / "my_file.py").write_text(MINE)
    assert run(train, *TINY, f"{place}._target_=my_file.{name}", "run_dir=out") == status
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert [part for part in words.split("|") if part not in error] == [], error


def test_facts_of_a_suite_may_be_numpys(run, tmp_path):
    (tmp_path / "my_file.py").write_text(
        textwrap.dedent(
            """
            import numpy as np

            from mtrl.envs.point_mass import PointMassSuite


            class Mine(PointMassSuite):
                def describe(self):
                    own = {"size": np.float32(1.5), "sizes": np.arange(2), 3: (np.True_,)}
                    return super().describe() | own
            """
        )
    )
    short = ("steps_per_task=12", "final_episodes=1", "run_dir=out")
    assert run(train, *TINY, *short, "env._target_=my_file.Mine") == 0
    text = "".join((tmp_path / "out" / "manifest.json").read_text().split())
    assert '"size":1.5,' in text
    assert '"sizes":[0,1],"3":[true]' in text
