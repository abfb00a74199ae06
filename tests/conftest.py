from __future__ import annotations

import os
import shutil
import sys

import pytest
import torch

from mtrl.types import SuiteSpec, Transition

pytest_plugins = ["tests.session"]

# Two cores, small matrices, parallel tests: threads only get in each other's way, here and in the
# programs that tests start.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"


def random_batch(spec: SuiteSpec, batch: int, seed: int = 0, device: str = "cpu") -> Transition:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    tasks = spec.num_tasks
    rows = Transition(
        normal(tasks, batch, spec.obs_size),
        normal(tasks, batch, spec.action_size).tanh(),
        normal(tasks, batch),
        normal(tasks, batch, spec.obs_size),
        normal(tasks, batch) > 1,
    )
    return Transition(*(field.to(device) for field in rows))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True)
def seeded() -> None:
    """A test that fails once fails again."""
    torch.manual_seed(0)


@pytest.fixture
def spec() -> SuiteSpec:
    names = ("turn-0", "turn-120", "turn-240")  # tasks with a description
    return SuiteSpec(names, obs_size=5, action_size=2, horizon=10, num_goals=4)


@pytest.fixture(scope="session")
def finished_tiny_run(tmp_path_factory):
    from tests.tiny_run import TINY, train_once  # tests of the core alone do without the programs

    out = tmp_path_factory.mktemp("tiny") / "out"
    train_once(*TINY, f"run_dir={out}")
    return out


@pytest.fixture
def tiny_run(finished_tiny_run, tmp_path):
    """The directory ``out`` of a finished run of ``TINY`` in the temporary folder."""
    return shutil.copytree(finished_tiny_run, tmp_path / "out")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Calls the program in this process, in an empty working directory; its exit status."""
    monkeypatch.chdir(tmp_path)
    # Programs append the working directory, where another test may have had a module of the same name.
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def call(program, *arguments):
        monkeypatch.setattr(sys, "argv", [program.__name__, *map(str, arguments)])
        try:
            program.main()
        except SystemExit as exit:
            return exit.code
        return 0

    yield call
    for name in {"my_file", "my_net"} - before:
        sys.modules.pop(name, None)
