"""Updates that are compiled, in lower precision, or in chunks are the same updates."""

import copy

import pytest
import torch
from torch._inductor import config as inductor
from torch.profiler import ProfilerActivity, profile

from mtrl.aggregators import Mean
from mtrl.config.build import training_config
from mtrl.errors import UsageError
from mtrl.replay import Replay
from mtrl.runs.logger import Logger
from mtrl.training.compiling import (
    WORTHWHILE,
    Compilation,
    accelerate,
    compiles,
    configure,
    foreign_classes,
    recorder,
)
from mtrl.training.config import TrainingConfig
from mtrl.training.nonfinite import NonfiniteGuard
from tests.agents.built_agents import AGENTS, build, parameters
from tests.agents.test_agents import METHODS, ON_DEVICE, pairs
from tests.composed import composed
from tests.conftest import random_batch

CPU = torch.device("cpu")
WAITS = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::equal",
    "aten::is_nonzero",
}


def options(**chosen) -> TrainingConfig:
    chosen = {"compile": "false", **chosen}
    return training_config(composed(*(f"{name}={value}" for name, value in chosen.items())))


def updated(agent, spec, config, update_count=2):
    torch.manual_seed(0)  # aggregators draw from PyTorch's own generator
    update = accelerate(agent, config, CPU, agent.generator)
    for step in range(update_count):
        metrics = update(random_batch(spec, 8, seed=step), step % 2 == 1)
    return metrics


@pytest.mark.parametrize(("agent", "method"), pairs(["cagrad_fast"]))
def test_chunks_of_tasks_give_the_same_gradients(spec, agent, method):
    """And with them every aggregator the same direction."""
    built = build(agent, spec, method)
    found = []
    with torch.no_grad():
        data = built.task_batch(random_batch(spec, 8))
        for chunk in (None, 2):
            torch.manual_seed(0)  # the gradients to compute are drawn
            chosen = options(task_chunk=chunk or "null", compile="false", gradients="rows")
            accelerate(built, chosen, CPU, None)
            found.append((built.critic_gradients(data), built.actor_gradients(data)))
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("agent", AGENTS)
def test_bf16_touches_the_networks_passes_only(spec, agent):
    exact, rounded = (build(agent, spec) for _ in range(2))
    expected = updated(exact, spec, options(), 1)
    metrics = updated(rounded, spec, options(precision="bf16"), 1)
    assert {name: value.dtype for name, value in metrics.items()} == {k: v.dtype for k, v in expected.items()}
    assert {value.dtype for value in parameters(rounded).values()} == {torch.float32}
    for learner in (rounded.actor, rounded.critic):
        moments = [v for state in learner.optimizer.state.values() for v in state.values()]
        gradients = [parameter.grad for parameter in learner.optimizer.parameters]
        assert {value.dtype for value in (*moments, *gradients)} == {torch.float32}
    difference = metrics["critic/loss"] - expected["critic/loss"]
    assert difference.any()  # bfloat16 has eight bits
    assert (difference.abs() < 0.1 * expected["critic/loss"]).all()
    obs = torch.randn(3, 2, 5)
    rounded.actor.load_state_dict(exact.actor.state_dict())
    assert torch.equal(rounded.act(obs, deterministic=True), exact.act(obs, deterministic=True))


def test_bf16_gradients_point_where_exact_ones_do(spec):
    found = []
    for precision in ("fp32", "bf16"):
        agent = build("sac", spec, layer_norm="both")
        updated(agent, spec, options(precision=precision), 1)
        found.append(agent.critic.network.shared.grad)
    assert torch.cosine_similarity(*found, dim=0) > 0.99


@pytest.mark.parametrize(("agent", "method"), pairs(ON_DEVICE))
def test_nothing_from_sampling_to_logging_waits_for_the_device(spec, agent, method, tmp_path):
    built = build(agent, spec, method)
    replay = Replay(spec, 16, CPU, built.generator)
    replay.add(random_batch(spec, 16))
    guard = NonfiniteGuard(built, spec.task_names, "skip")
    logger = Logger(tmp_path, spec.task_names)

    def learn():
        guard.remember()
        logger.add(guard.judge(built.update(replay.sample(8), True), 0))

    assert not waits(learn)


def waits(program):
    """The operations of ``program`` that would wait for a device."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        program()
    return [event.name for event in profiler.events() if event.name in WAITS and not in_the_optimiser(event)]


def in_the_optimiser(event):
    """Where the kernel for CPUs reads how many steps it made; for CUDA the count is on the device."""
    while event is not None and not event.name.startswith("aten::_fused_adam"):
        event = event.cpu_parent
    return event is not None


@pytest.mark.parametrize("wait", [torch.Tensor.item, bool, torch.Tensor.nonzero, lambda x: x[x > 0]])
def test_a_wait_would_be_found(wait):
    assert waits(lambda: wait(torch.ones(())))


QUICK = [
    ("sac", "mean"),
    ("sac", "cagrad"),
    ("sac", "cagrad_fast"),
    ("sac", "torchjd"),
    ("nested_moco", "moco"),
]
LONG = [pytest.param(agent, "mean", marks=pytest.mark.slow) for agent in AGENTS if agent != "sac"]


@pytest.mark.parametrize(("agent", "method"), [*QUICK, *LONG])
def test_a_compiled_update_is_the_update(spec, agent, method, monkeypatch):
    """By the compiler's front end; what its back ends make of a graph is theirs to test.

    The methods are those whose update is one program, those that ask for all gradients or a few, and one that
    no compiler could read.
    """
    monkeypatch.setattr(torch, "compile", lambda f, **kinds: TORCH_COMPILE(f, backend="eager", **kinds))
    torch.compiler.reset()
    eager, graph = (build(agent, spec, method) for _ in range(2))
    expected = updated(eager, spec, options())
    metrics = updated(graph, spec, options(compile="true"))
    for name, value in expected.items():
        # A program's Adam rounds differently, which the first steps, of length one, make larger.
        torch.testing.assert_close(metrics[name], value, rtol=1e-3, atol=1e-4, msg=name)
    for name, value in parameters(eager).items():
        torch.testing.assert_close(parameters(graph)[name], value, rtol=1e-4, atol=1e-5, msg=name)
    fresh = build(agent, spec, method, seed=9)  # as after a resume
    fresh.load_state_dict(copy.deepcopy(graph.state_dict()))
    fresh.generator.set_state(graph.generator.get_state())
    for one in (fresh, graph):
        updated(one, spec, options(compile="true"), 1)
    for name, value in parameters(graph).items():
        assert torch.equal(parameters(fresh)[name], value), name


@pytest.mark.parametrize("method", METHODS)
def test_what_a_solver_repeats_is_compiled_however_deep(spec, method):
    built, asked, called = build("sac", spec, method), set(), set()
    for module in (*built.actor.aggregator.modules(), *built.critic.aggregator.modules()):
        asked |= {getattr(module, "solver_step", None)} - {None}

    def watched(function):
        def call(*arguments):
            called.add(function)
            return function(*arguments)

        return call

    built.accelerate(watched, None, None)
    built.update(random_batch(spec, 8), diagnose=False)
    assert asked <= called


TORCH_COMPILE = torch.compile


def test_what_is_not_one_graph_is_a_clear_error():
    def waits(value):
        return value + 1 if value.item() > 0 else value

    with pytest.raises(UsageError, match="compile=true: this agent's gradients are not one graph"):
        Compilation(print, strict=True)(waits)(torch.ones(()))


def broken_compiler(function, **kinds):
    def call(*arguments):
        raise OSError("Read-only file system: '/tmp/cache'")

    return call


def test_a_compiler_that_fails_is_one_line_and_the_update_goes_on(spec, monkeypatch):
    """Whatever it raises, and without a half of an update lost."""
    monkeypatch.setattr(torch, "compile", broken_compiler)
    eager, failing, said = build("sac", spec), build("sac", spec), []
    configure(failing, options(compile="auto"), CPU, said.append)
    for agent in (eager, failing):
        for step in range(2):
            agent.update(random_batch(spec, 8, seed=step), False)
    assert said == ["updates are not compiled: Read-only file system: '/tmp/cache'; going on without"]
    for name, value in parameters(eager).items():
        assert torch.equal(parameters(failing)[name], value), name
    strict = build("sac", spec)
    configure(strict, options(compile="true"), CPU, said.append)
    with pytest.raises(OSError, match="Read-only"):
        strict.update(random_batch(spec, 8), False)


def test_a_short_run_is_not_compiled_unless_told_to(spec):
    agent = build("sac", spec)
    assert not compiles("auto", agent, WORTHWHILE - 1)
    assert compiles(True, agent, 1)


@pytest.mark.parametrize("chosen", [{"precision": "tf32"}, {"cudagraphs": "true"}])
def test_what_needs_cuda_says_so(spec, chosen):
    with pytest.raises(UsageError, match="needs a CUDA device, found cpu"):
        accelerate(build("sac", spec), options(**chosen), CPU, None)


def test_an_agent_without_the_method_says_so(spec):
    class Plain:
        def update(self, batch, diagnose):
            return {}

    assert accelerate(Plain(), options(), CPU, None)(None, False) == {}
    assert accelerate(Plain(), options(compile="auto"), CPU, None)(None, False) == {}
    with pytest.raises(UsageError, match="Plain has none"):
        accelerate(Plain(), options(compile="true"), CPU, None)


@pytest.mark.parametrize("lacking", ["a C.. compiler", "Python's headers"])
def test_a_machine_that_cannot_compile_trains_without_unless_told_to(spec, lacking, monkeypatch, tmp_path):
    agent = build("sac", spec)
    assert compiles("auto", agent)
    assert not compiles(False, agent)
    cxx = inductor.cpp.cxx
    if "C.." in lacking:
        cxx = (str(tmp_path / "g++"),)
    else:
        monkeypatch.setattr("sysconfig.get_path", lambda name: tmp_path)
    with inductor.patch("cpp.cxx", cxx):
        assert not compiles("auto", agent)
        with pytest.raises(UsageError, match=f"compile=true needs {lacking}"):
            compiles(True, agent)


@pytest.mark.parametrize("chosen", [{"precision": "fp8"}, {"compile": "maybe"}, {"task_chunk": 0}])
def test_values_out_of_range_are_refused(chosen):
    with pytest.raises(UsageError, match=next(iter(chosen))):
        options(**chosen)


class Counting(Mean):
    """Decides by a counter in Python, which a recording would repeat for ever."""


def test_graphs_are_recorded_of_known_classes_alone(spec):
    built, said = build("sac", spec, "cr_cagrad"), []
    assert foreign_classes(built) == set()
    built.actor.aggregator.inner = Counting(spec.num_tasks)
    cuda = torch.device("cuda")
    assert recorder(built, options(), cuda, None, said.append) is None
    assert "Counting" in said[0]
    assert recorder(built, options(cudagraphs="true"), cuda, None, said.append) is not None
