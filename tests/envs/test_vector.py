"""Worker processes: the same results, found out when they fail, gone when they should be."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mtrl.envs.suite import SuiteEvaluationEnv, SuiteTrainingEnv
from mtrl.errors import EnvironmentFailedError, EpisodesLostError
from mtrl.types import SuiteSpec
from tests.envs.counting import CountingTask, unbuildable

ROOT = Path(__file__).parent.parent.parent
SPEC = SuiteSpec(("a", "b", "c"), obs_size=3, action_size=1, horizon=3, num_goals=50)


@pytest.fixture
def training():
    opened = []

    def build(workers, recipe=CountingTask, copies=2):
        env = SuiteTrainingEnv(SPEC, [recipe] * 3, copies=copies, seed=0, workers=workers)
        opened.append(env)
        return env

    yield build
    for env in opened:
        env.close()


def zeros():
    return np.zeros((3, 2, 1), np.float32)


def with_action(value, task=1, copy=0):
    action = zeros()
    action[task, copy] = value
    return action


def pids(env):
    return [process.pid for process in env._vector.pool._processes]


def test_every_number_of_workers_gives_the_same_arrays(training):
    def play(workers):
        env = training(workers)
        rng = np.random.default_rng(0)
        arrays = [env.reset()]
        for _ in range(7):
            arrays += env.step(rng.random((3, 2, 1), np.float32))
        return arrays

    expected = play(0)
    for workers in (1, 2, 4):
        for ours, theirs in zip(play(workers), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_results_of_earlier_steps_are_never_overwritten(training):
    env = training(2)
    env.reset()
    first = env.step(zeros())
    kept = [array.copy() for array in first]
    env.step(zeros() + 1)
    for array, copy in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_workers_step_while_the_caller_does_something_else(training):
    env = training(2)
    env.reset()
    env.send(zeros())
    deadline = time.monotonic() + 10
    while not (env._vector.memory.next_obs[:, 1] == 1).all():  # the outcome is there before it is asked for
        assert time.monotonic() < deadline
    assert (env.receive().next_obs[..., 1] == 1).all()


@pytest.mark.parametrize(("value", "cause"), [(7, "killed by SIGKILL"), (8, "raised ArithmeticError")])
def test_a_worker_that_fails_is_replaced_once_with_fresh_episodes(training, value, cause):
    env = training(2)
    env.reset()
    before = pids(env)
    with pytest.raises(EpisodesLostError, match=rf"worker \d of 2, task b, copy 0: .*{cause}"):
        env.step(with_action(value))
    assert len(set(before) & set(pids(env))) == 1
    assert (env.reset()[..., 1] == 0).all()
    assert (env.step(zeros()).next_obs[..., 1] == 1).all()
    with pytest.raises(EnvironmentFailedError, match=rf"task b, copy 0: .*{cause}.* replaced once"):
        env.step(with_action(value))


def test_a_worker_killed_between_two_steps_is_found_at_the_next(training):
    env = training(2)
    env.reset()
    os.kill(pids(env)[1], signal.SIGKILL)
    with pytest.raises(EpisodesLostError, match=r"2 of 2, task a, copy 1, task b, copy 1, .* SIGKILL"):
        env.step(zeros())
    env.reset()
    env.step(zeros())


def test_a_task_that_cannot_be_built_is_named_and_ends_the_reset(training):
    env = training(2, unbuildable)
    with pytest.raises(EnvironmentFailedError, match=r"task .*, copy 0: raised OSError: no such model"):
        env.reset()


def test_evaluation_moves_a_slot_to_the_worker_with_least_to_do():
    env = SuiteEvaluationEnv(SPEC, [CountingTask] * 3, workers=2)
    starts = {slot: (slot % 3, slot) for slot in range(8)}
    step = env.advance(starts, {})
    np.testing.assert_array_equal(step.obs[:8, 0], np.arange(8))
    owner = env._vector.memory.owner[:8]
    assert np.bincount(owner).tolist() == [4, 4]
    busy = [slot for slot in range(8) if owner[slot] == 0]
    idle = next(slot for slot in range(8) if owner[slot] == 0)
    actions = {slot: np.zeros(1, np.float32) for slot in busy if slot != idle}
    env.advance({idle: ((idle + 1) % 3, 9)}, actions)
    assert owner[idle] == 1
    env.close()


def test_closing_ends_the_workers_and_leaves_nothing(training):
    env = training(2)
    env.reset()
    ours = pids(env)
    env.close()
    env.close()
    for pid in ours:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_do_not_import_pytorch():
    code = (
        "import sys, mtrl.envs.worker, mtrl.envs.metaworld.task, mtrl.envs.gymnasium.task; "
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


OWNER = """
import signal
import numpy as np
from tests.envs.test_vector import SPEC, CountingTask, SuiteTrainingEnv, pids
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background jobs ignore
env = SuiteTrainingEnv(SPEC, [CountingTask] * 3, copies=2, seed=0, workers=2)
env.reset()
print(*pids(env), flush=True)
while True:
    env.step(np.full((3, 2, 1), 6, np.float32))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent_and_no_shared_memory_is_left(number):
    shared = set(Path("/dev/shm").iterdir())
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        workers = [int(word) for word in process.stdout.readline().split()]
        assert len(workers) == 2
        process.send_signal(number)
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not {path for path in set(Path("/dev/shm").iterdir()) - shared if "mtrl" in path.name}


def alive(pid):
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
