"""Acting, storing and learning as recorded programs are what they are as plain calls."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mtrl.errors import UsageError
from mtrl.replay import Replay
from mtrl.runs.directory import RunDirectory
from mtrl.runs.logger import Logger
from mtrl.training.acting import Acting
from mtrl.training.graphs import GraphedUpdate, Program, Recorder
from mtrl.training.learning import Learning
from mtrl.training.nonfinite import NonfiniteGuard
from mtrl.types import SuiteSpec
from tests.agents.built_agents import build, parameters
from tests.agents.test_agents import ON_DEVICE, pairs
from tests.conftest import random_batch
from tests.mtrl.training.tape import CPU, FailingRecorder, NullRecorder, TapeRecorder

CUDA = torch.device("cuda")
MAX_HOST_CALLS = 15


class Loop:
    """The device's part of the training loop, over environments that return noise."""

    def __init__(self, spec, folder, recorder, device=CPU, method="mean", skip=False, copies=2, capacity=30):
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        self.spec, self.copies, self.step = spec, copies, 0
        self.agent = build("sac", spec, method, device=str(device))
        generator = self.agent.generator
        self.replay = Replay(spec, capacity, device, generator, copies)
        self.guard = NonfiniteGuard(self.agent, spec.task_names, "skip" if skip else "stop")
        self.logger = Logger(folder, spec.task_names)
        if recorder is Recorder:
            recorder = Recorder(device, (generator,), strict=True, say=print)
        self.acting = Acting(self.agent, device, recorder)
        self.learning = Learning(self.agent.update, self.replay, self.guard, self.logger, 8, device, recorder)
        self.noise = np.random.default_rng(0)
        self.obs = self.normal(spec.obs_size)
        self.actions = []

    def normal(self, *shape):
        full = (self.spec.num_tasks, self.copies, *shape)
        return self.noise.standard_normal(full).astype(np.float32)

    def run(self, steps, diagnose_every=3, breaks=()):
        for step in range(steps):
            action = self.acting(self.obs)
            self.actions.append(action)
            if self.step:
                self.learning.update(self.step, self.step % diagnose_every == 0)
            following, reward = self.normal(self.spec.obs_size), self.normal()
            if step in breaks:
                reward[1, 0] = np.nan
            ended = self.noise.random((self.spec.num_tasks, self.copies)) < 0.2
            self.learning.store(self.obs, action, reward, following, ended)
            self.obs = np.where(ended[..., None], self.normal(self.spec.obs_size), following)
            self.step += 1
        return self

    def outcome(self):
        state = {name: value.clone() for name, value in parameters(self.agent).items()}
        oldest = self.replay.added - self.replay.size
        state["replay"] = self.replay.packed(oldest, self.replay.added)
        state["actions"] = torch.from_numpy(np.stack(self.actions))
        for part in self.logger.state_dict()["parts"]:
            state |= {f"{name} of {part['count']}": value for name, value in part["sums"].items()}
        return {name: value.cpu() for name, value in state.items()}


def long_horizon():
    return SuiteSpec(("a", "b", "c"), obs_size=5, action_size=2, horizon=1000, num_goals=4)


@pytest.mark.parametrize("method", ["mean", "cagrad", "moco", "rlw"])
@pytest.mark.parametrize("skip", [False, True])
def test_a_recorded_loop_is_the_loop_to_the_last_bit(tmp_path, method, skip):
    """While the replay fills, wraps around, and takes more ends of episodes than it has room for."""
    spec, recorder = long_horizon(), TapeRecorder()
    expected = Loop(spec, tmp_path / "plain", None, method=method, skip=skip).run(40, breaks=[30])
    found = Loop(spec, tmp_path / "recorded", recorder, method=method, skip=skip).run(40, breaks=[30])
    assert found.replay.moves > 1
    assert recorder.made >= 4, "acting, storing, updates with and without diagnosis"
    found, expected = found.outcome(), expected.outcome()
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name].nan_to_num(), value.nan_to_num()), name


def test_recorded_metrics_are_flushed_and_begin_again(spec, tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(Logger, "_to_tensorboard", lambda *arguments: None)
    for name, recorder in (("plain", None), ("recorded", TapeRecorder())):
        loop = Loop(spec, tmp_path / name, recorder)
        loop.logger.files = RunDirectory(tmp_path / name)
        for _ in range(4):
            loop.run(9)
            written.append(loop.logger.flush(loop.step, {}))
    assert written[:4] == written[4:]
    assert "critic/conflict_fraction" in written[0]


class Calls(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_the_host_makes_a_handful_of_calls_for_a_vector_step(spec, tmp_path):
    loop = Loop(spec, tmp_path / "loop", NullRecorder()).run(20)
    with Calls() as calls:
        loop.run(1)
    assert len(calls.names) <= MAX_HOST_CALLS, calls.names
    # In front of a recording PyTorch writes seed and offset of each of two generators.
    assert len(calls.names) + 3 * 4 <= MAX_HOST_CALLS, calls.names


def test_what_cannot_be_recorded_runs_as_it_is_and_is_said_once(spec, tmp_path):
    said = []
    expected = Loop(spec, tmp_path / "plain", None).run(12).outcome()
    found = Loop(spec, tmp_path / "failing", FailingRecorder(said.append)).run(12).outcome()
    assert said == ["no CUDA graphs: operation not permitted when stream is capturing; going on without"]
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    with pytest.raises(UsageError, match="cudagraphs=true: this update cannot be recorded"):
        Loop(spec, tmp_path / "strict", FailingRecorder(print, strict=True)).run(12)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("skip", "method"), [(False, "mean"), (True, "mean"), (False, "cagrad"), (False, "moco")]
)
def test_a_recorded_loop_on_the_gpu_is_the_loop_and_waits_for_actions_alone(tmp_path, skip, method):
    spec, outcomes = long_horizon(), []
    for name, recorder in (("plain", None), ("recorded", Recorder)):
        loop = Loop(spec, tmp_path / name, recorder, CUDA, method, skip).run(20)
        torch.cuda.set_sync_debug_mode("error")
        try:
            loop.run(20)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        outcomes.append(loop.outcome())
    for name, value in outcomes[0].items():
        torch.testing.assert_close(outcomes[1][name], value, rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.gpu
def test_a_capture_that_fails_leaves_the_gpu_usable(spec, tmp_path):
    said = []
    generator = torch.Generator(CUDA).manual_seed(0)
    recorder = Recorder(CUDA, (generator,), strict=False, say=said.append)
    total = torch.zeros((), device=CUDA)

    def waits():
        total.add_(torch.rand((), generator=generator, device=CUDA) + torch.rand((), device=CUDA))
        total.item()

    stream = torch.cuda.current_stream()
    program = Program(waits, recorder)
    for _ in range(6):
        program()
    assert len(said) == 1
    assert said[0].startswith("no CUDA graphs: ")
    assert torch.cuda.current_stream() == stream
    assert 0 < total.item() < 12
    Loop(spec, tmp_path / "after", Recorder, CUDA).run(12)


@pytest.mark.gpu
@pytest.mark.parametrize(("agent", "method"), pairs(ON_DEVICE))
def test_a_graph_on_the_gpu_repeats_the_update_without_a_synchronisation(spec, agent, method):
    agents, results = [], []
    for graphed in (False, True):
        built = build(agent, spec, method, device="cuda")
        torch.manual_seed(0)
        recorder = Recorder(CUDA, (built.generator,), strict=True, say=print)
        update = GraphedUpdate(built.update, recorder) if graphed else built.update
        batches = [random_batch(spec, 8, seed=step, device="cuda") for step in range(7)]
        built.update(batches[0], False)  # what libraries set up at their first call may synchronise
        torch.cuda.set_sync_debug_mode("error")
        try:
            for batch in batches:
                metrics = update(batch, False)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        agents.append(built)
        results.append({name: value.clone() for name, value in metrics.items()})
    for name, value in parameters(agents[0]).items():
        torch.testing.assert_close(parameters(agents[1])[name], value, rtol=1e-3, atol=1e-5, msg=name)
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-2, atol=1e-4, msg=name)


@pytest.mark.gpu
def test_graphs_belong_to_the_device_of_the_run_whichever_is_current(spec, tmp_path):
    last = torch.device("cuda", torch.cuda.device_count() - 1)
    with torch.cuda.device(0):
        outcome = Loop(spec, tmp_path / "last", Recorder, last).run(12).outcome()
    assert all(value.isfinite().all() for value in outcome.values())
