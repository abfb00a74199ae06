"""Videos of a policy, drawn in a process of their own since MuJoCo chooses how to draw when imported."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mtrl.cli import record
from mtrl.config import recorder
from tests.tiny_run import DRAWABLE, train_once
from tests.warm_start import SCRIPTS, Program

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder that holds the run ``out``."""
    folder = tmp_path_factory.mktemp("record")
    train_once(*DRAWABLE, f"run_dir={folder / 'out'}")
    return folder


def film(folder, *arguments):
    program = Program(folder, SCRIPTS / "record.py", "out", "--size", "64", "--every", "5", *arguments)
    printed, error = program.communicate()
    assert program.returncode == 0, error
    return printed


def frames(path):
    imageio = pytest.importorskip("imageio.v2")
    return [np.asarray(frame)[..., :3] for frame in imageio.mimread(path)]


def test_a_task_and_a_grid_of_all_tasks_are_filmed(finished):
    pytest.importorskip("imageio_ffmpeg")
    assert "reach-v3" in film(finished, "--task", "reach-v3", "--out", "one.mp4")
    pictures = frames(finished / "one.mp4")
    assert len(pictures) == 1 + 2 + 16  # the start, two of ten steps, a second more
    assert pictures[0].shape == (64, 64, 3)
    assert pictures[0][20:].std() > 10  # something is to be seen
    assert "drawer-close-v3" in film(finished, "--out", "all.gif")
    assert frames(finished / "all.gif")[0].shape == (64, 128, 3)


MARK = """
from contextlib import ExitStack
from mtrl.envs.metaworld.camera import choose_backend
choose_backend()
import numpy as np
from metaworld.policies import ENV_POLICY_MAP
from mtrl.envs.metaworld.suite import mt1
from mtrl.envs.video import SUCCESS, Scene
with ExitStack() as stack:
    scene = Scene(mt1("reach-v3", seed=0), 0, "corner2", 64, stack)
    obs = scene.begin(0)
    before = scene.picture()
    while not scene.over:
        obs = scene.step(np.clip(ENV_POLICY_MAP["reach-v3"]().get_action(obs), -1, 1).astype(np.float32))
    after = scene.picture()
assert scene.success_at is not None
assert not (before[-1] == SUCCESS).all(-1).any()
assert (after[-1] == SUCCESS).all()
assert (after[20:60, 5:60] != before[20:60, 5:60]).any()
"""


def test_success_is_marked_in_the_picture():
    subprocess.run([sys.executable, "-W", "ignore", "-c", MARK], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no run directory"),
        (["out", "--task", "push-v3"], "reach-v3, drawer-close-v3; found 'push-v3'"),
        (["out", "--goal", "50"], "0..49, found 50"),
        (["out", "--out", "video.avi"], "must end in .mp4 or .gif"),
        (["out", "--out", "nowhere/video.mp4"], "no directory nowhere"),
        (["out", "--every", "0"], "every must be at least 1"),
        (["out", "--size", "8"], "size must be from 32"),
    ],
)
def test_bad_input_is_one_line_with_status_2(monkeypatch, capsys, finished, arguments, words):
    monkeypatch.chdir(finished)
    monkeypatch.setattr(recorder, "choose_backend", lambda: "none")
    assert run_here(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert error.count("\n") == 1


def test_a_machine_that_cannot_draw_is_told_what_to_install(monkeypatch, capsys, finished):
    monkeypatch.chdir(finished)
    monkeypatch.setenv("MUJOCO_GL", "nonsense")
    assert run_here(monkeypatch, "out") == 2
    error = capsys.readouterr().err
    assert "libosmesa6" in error
    assert "nonsense" in error


def test_a_run_of_another_suite_cannot_be_filmed(run, tiny_run, monkeypatch, capsys):
    monkeypatch.setattr(recorder, "choose_backend", lambda: "none")
    assert run(record, tiny_run) == 2
    assert (
        "videos need a suite with the methods of mtrl.envs.video.Drawable, found point_mass"
        in capsys.readouterr().err
    )


def run_here(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["record", *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as exit:
        record.main()
    return exit.value.code
