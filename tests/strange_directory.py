"""A working directory whose files have the names of ours and of libraries, and what a user does in it."""

import json
import os
import subprocess
import sys

from tests.tiny_run import DRAWABLE, TINY, rows

SHORT = (*TINY, "steps_per_task=12")  # what is asked is whose modules are imported
PACKAGES = ("agents", "envs", "configs", "scripts", "benchmarks", "landscapes", "tests")
LIBRARIES = ("hydra", "omegaconf", "rich", "metaworld", "mujoco", "gymnasium", "matplotlib", "tensorboard")
PROGRAMS = ("train", "evaluate", "plot", "scripts/train")
STOP = "raise SystemExit(f'{__file__} was imported')\n"  # no handler of a library's catches it
MINE = """
from mtrl.aggregators import GramAggregator
from mtrl.envs.point_mass import PointMassSuite
from mtrl.envs.suite import SuiteTrainingEnv

class FirstTask(GramAggregator):
    def weights(self, gram, losses, shares):
        weights = gram.new_zeros(self.num_tasks)
        weights[0] = 1.0
        return weights

class WithWorker(PointMassSuite):
    def training_env(self):
        return SuiteTrainingEnv(self.spec, self._recipes(), copies=1, seed=self._seed, workers=1)
"""
OF_MINE = ("env._target_=mine.WithWorker", "aggregator._target_=mine.FirstTask")


def lay_out(folder):
    """Files that end whoever imports them, and mine.py, which is to be found."""
    for name in PACKAGES:
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(STOP)
    for name in (*LIBRARIES, *PROGRAMS):
        (folder / f"{name}.py").write_text(STOP)
    (folder / "mine.py").write_text(MINE)


class Door:
    """Starts programs in a folder.

    Args:
        folder: the working directory.
        path: where ``mtrl`` is found.
        words: what Python is told, to start the program of a name.
    """

    def __init__(self, folder, path, words):
        self.folder = folder
        self._environment = os.environ | {"PYTHONPATH": str(path), "OMP_NUM_THREADS": "1"}
        self._words = words

    def call(self, program, *arguments):
        self._start(*self._words(program), *arguments)

    def python(self, code):  # the current directory comes first, as in a user's own session
        self._start("-c", code)

    def _start(self, *words):
        ended = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert ended.returncode == 0, ended.stdout


def finished(run):
    return rows(run / "evaluations.jsonl")[-1].get("final", False)


def train_and_look(door):
    """Train, resume, sweep, evaluate, draw and load."""
    door.call("train", *SHORT, *OF_MINE, "run_dir=out")
    evaluations = door.folder / "out" / "evaluations.jsonl"
    before = rows(evaluations)
    evaluations.write_text("".join(json.dumps(row) + "\n" for row in before[:-1]))
    door.call("train", "resume=out")
    assert rows(evaluations) == before
    door.call("train", "-m", *SHORT, "run_dir=study")
    (config,) = door.folder.glob("study/*/config.yaml")
    assert finished(config.parent)
    door.call("evaluate", "out", "--episodes", "2")
    door.call("plot", "study", "--out", "figures")
    assert list((door.folder / "figures").iterdir())
    door.python("import mtrl; mtrl.load('out').act([0.0] * 6, 'turn-90')")


def train_metaworld_with_a_worker(door):
    """The workers and the library they import."""
    door.call("train", *DRAWABLE, "env.workers=1", "run_dir=film")
    assert finished(door.folder / "film")
