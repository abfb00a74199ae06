"""A run directory from a stranger: whatever it holds, the programs refuse it in one line and run none."""

import hashlib
import io
import json
import os
import pickle
import shutil
from itertools import cycle

import pytest
import torch
from omegaconf import OmegaConf

from mtrl.cli import compare, evaluate, plot, record, report, train
from mtrl.config import recorder
from mtrl.runs import checkpoint
from mtrl.runs.directory import RunDirectory
from tests.tiny_run import TINY, train_once

READERS = {
    "evaluate": (evaluate, ["out"]),
    "plot": (plot, ["out", "--out", "figures"]),
    "report": (report, ["out", "--out", "page.html"]),
    "compare": (compare, ["out"]),
}
LOADERS = {
    "resume": (train, ["resume=out"]),
    "evaluate": (evaluate, ["out", "--episodes", "1"]),
    "record": (record, ["out"]),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run as it was when it was killed in its final evaluation."""
    folder = tmp_path_factory.mktemp("hostile") / "out"
    train_once(*TINY, "steps_per_task=24", "log_interval=8", f"run_dir={folder}")
    lines = [
        line
        for line in (folder / "evaluations.jsonl").read_text().splitlines()
        if not json.loads(line)["final"]
    ]
    (folder / "evaluations.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


@pytest.fixture
def out(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "choose_backend", lambda: "none")
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def refused(run, capsys, tmp_path):
    """Runs a program, which must end with status 2 and one line that has ``words``; no bomb may go off."""

    def check(program, arguments, *words):
        capsys.readouterr()
        assert run(program, *arguments) == 2
        said = capsys.readouterr().err
        *notes, error = said.splitlines()
        assert error.startswith("error: ")
        assert all(note.startswith(("evaluating ", "cannot read checkpoint ")) for note in notes)
        for word in words:
            assert word in said
        assert not (tmp_path / "boom").exists()

    return check


class Bomb:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("boom",))


def bomb(how):
    if how == "pickle":
        return pickle.dumps(Bomb())
    buffer = io.BytesIO()
    torch.save({"agent": Bomb(), "step": 24}, buffer)
    return buffer.getvalue()


def sealed(content):
    digest = hashlib.sha256(content).hexdigest()
    line = f"mtrl-checkpoint format={checkpoint.FORMAT} release=0.1.0 bytes={len(content)} sha256={digest}\n"
    return line.encode() + content


def test_the_bomb_is_real(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(bomb("pickle"))
    assert (tmp_path / "boom").exists()


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("how", ["pickle", "torch", "unsealed"])
def test_a_pickle_as_checkpoint_does_not_run(out, refused, loader, how):
    content = bomb("torch") if how == "unsealed" else sealed(bomb(how))
    for path in RunDirectory(out).saved():
        path.write_bytes(content)
    refused(*LOADERS[loader], "checkpoint")


def saved_state(out):
    path = RunDirectory(out).saved()[-1]
    return path, checkpoint.load(path, torch.device("cpu"))


def test_a_pickle_as_part_of_the_replay_does_not_run(out, run, capsys, tmp_path):
    content = sealed(bomb("torch"))
    (part,) = (out / "replay").iterdir()
    part.write_bytes(content)
    path, state = saved_state(out)
    state["replay"]["parts"][0]["digest"] = hashlib.sha256(bomb("torch")).hexdigest()
    checkpoint.save(path, state)
    assert run(train, "resume=out") == 0  # with a replay that fills anew
    assert "the replay of step 24 is not whole" in capsys.readouterr().out
    assert not (tmp_path / "boom").exists()


def test_a_part_of_the_replay_lies_in_the_directory(out, refused, tmp_path):
    path, state = saved_state(out)
    state["replay"]["parts"][0]["name"] = "../../secret.pt"
    checkpoint.save(path, state)
    (tmp_path / "secret.pt").write_text("secret")
    for other in RunDirectory(out).saved()[:-1]:
        other.unlink()
    refused(train, ["resume=out"], "../../secret.pt")


STATES = {
    "nothing": {},
    "other kinds": {"agent": 3, "step": 24, "positions": []},
    "another step": {"step": 7, "positions": {"metrics.jsonl": 0, "evaluations.jsonl": 0}},
    "no agent": {"agent": {}},
    "another kind of tensor": {"agent": {"actor": {"network": {"shared": torch.zeros(3)}}}},
    "a step far away": {"step": "../../x"},
    "counters": {"owed": 1e300},
    "environments": {"env": {"streams": [], "goal": 3}},
    "a generator": {"generator": torch.zeros(1)},
}


@pytest.mark.parametrize("what", STATES)
def test_a_checkpoint_of_something_else_is_refused(out, refused, what):
    *others, path = RunDirectory(out).saved()
    for other in others:
        other.unlink()
    state = saved_state(out)[1] if len(STATES[what]) == 1 else {}
    checkpoint.save(path, state | STATES[what])
    logs = (out / "metrics.jsonl").read_bytes()
    refused(train, ["resume=out"], "checkpoint")
    assert (out / "metrics.jsonl").read_bytes() == logs


MAKE = {"_target_": "os.mkdir", "path": "boom"}
COMMAND = ["mkdir", "boom"]


def task(name, **options):
    """An environment of one task of Gymnasium's."""
    target = "mtrl.envs.gymnasium.suite.GymnasiumSuite"
    return "env", {"_target_": target, "tasks": [name], "horizon": 5, "options": {name: options}}


TREES = {
    "a function": ("env", MAKE),
    "of a process": ("env", {"_target_": "subprocess.run", "args": COMMAND}),
    "a class": ("agent", {"_target_": "subprocess.Popen", "args": COMMAND}),
    "a builtin": ("aggregator", {"_target_": "builtins.exec", "_args_": ["import os; os.mkdir('boom')"]}),
    "os.system": ("aggregator", {"_target_": "os.system", "command": "mkdir boom"}),
    "the same, elsewhere": ("aggregator", {"_target_": "posix.system", "command": "mkdir boom"}),
    "through a module": (
        "aggregator",
        {"_target_": "mtrl.runs.directory.os.system", "command": "mkdir boom"},
    ),
    "the project's own function": ("env", {"_target_": "mtrl.config.build.build_agent"}),
    "Hydra": ("agent", {"_target_": "hydra.utils.instantiate", "config": MAKE}),
    "Hydra's methods": ("agent", {"_target_": "hydra.utils.get_method", "path": "os.mkdir"}),
    "a class of another place": ("agent", {"_target_": "mtrl.aggregators.Mean"}),
    "a task": task("os.mkdir", path="boom"),
    "a task through a module": task("mtrl.runs.directory.os.mkdir", path="boom"),
    "a task by Hydra": task("hydra.utils.instantiate", config={"a": 1}),
    "a task's package": task("os:mkdir-v0"),
    "a task's maker": task("gymnasium.make", id="os:mkdir-v0"),
    "a task with a target": task("Hopper-v5", xml_file=MAKE),
    "an option": ("agent.learning_rate", MAKE),
    "an option of the environment": ("env.tasks", MAKE),
    "an option in a list": ("env.tasks", [MAKE]),
    "an option in a tree": ("agent.network.hidden", {"a": MAKE}),
    "a network": ("agent.network", {**MAKE, "_partial_": True}),
    "a network at once": ("agent.network._partial_", False),
    "an inner aggregator": ("aggregator.inner", {**MAKE, "_partial_": True}),
    "arguments": ("aggregator._args_", [1]),
    "arguments of a network": ("agent.network._args_", [MAKE]),
    "recursion": ("agent._recursive_", False),
    "a part": ("aggregator._partial_", True),
    "no class": ("agent._target_", "os"),
    "a file": ("agent._target_", "/tmp/evil.py"),
    "a file above": ("agent._target_", "..evil.Evil"),
    "a main program": ("agent._target_", "pip.__main__.Evil"),
    "a secret": ("device", "${oc.env:HOME}"),
    "a secret deep down": ("agent.learning_rate", "${oc.decode:${oc.env:HOME}}"),
    "a broken interpolation": ("agent.learning_rate", "${oc.env:"),
    "a line": ("agent.log_std", "clip\nrm -rf"),
}


@pytest.mark.parametrize("what", TREES)
def test_a_configuration_that_names_other_code_is_refused(out, refused, what):
    place, value = TREES[what]
    plain = OmegaConf.to_container(OmegaConf.load(out / "config.yaml"))
    *parents, last = place.split(".")
    node = plain
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    (out / "config.yaml").write_text(json.dumps(plain))
    refused(evaluate, ["out", "--episodes", "1"], place.split(".")[0])


def test_the_same_holds_on_the_command_line(refused):
    refused(
        train, [*TINY, "run_dir=out", "aggregator._target_=os.mkdir", "+aggregator.path=boom"], "Aggregator"
    )


def test_a_module_inside_the_run_directory_is_never_imported(out, refused, monkeypatch):
    (out / "evil.py").write_text("import os\nos.mkdir('../boom')\n")
    config = out / "config.yaml"
    config.write_text(config.read_text().replace("mtrl.aggregators.CAGrad", "evil.Evil"))
    monkeypatch.chdir(out)
    for here, (program, arguments) in zip(("", "replay", ""), LOADERS.values(), strict=True):
        monkeypatch.chdir(out / here)
        refused(program, [str(argument).replace("out", str(out)) for argument in arguments], "evil")


CONFIGS = {
    "not YAML": "{",
    "not text": b"\xff\xfe\x00",
    "a list": "[1]",
    "nothing": "",
    "an object": "!!python/object/apply:os.mkdir [boom]",
    "an object inside": "seed: !!python/object/apply:os.mkdir [boom]",
    "aliases": "a: &a [1]\nb: [*a, *a]",
    "depth": "[" * 5000,
    "length": "a: " + "x" * 2**21,
    "no classes": "{seed: 0, env: 3, agent: [], aggregator: null}",
    "names": "{1: 2}",
}


def each(cases):
    """The cases, each with one of the programs that read runs, in turn."""
    return [
        pytest.param(case, name, id=f"{index}-{name}")
        for index, (case, name) in enumerate(zip(cases, cycle(READERS), strict=False))
    ]


@pytest.mark.parametrize(("what", "reader"), each(CONFIGS))
def test_a_configuration_that_no_run_wrote_is_refused(out, refused, reader, what):
    text = CONFIGS[what]
    (out / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    refused(*READERS[reader], "config.yaml")


MANIFESTS = ["{", "[]", "3", "\udcff", '{"suite": 3}', '{"suite": {"tasks": [3]}}', "[" * 100_000, "1" * 9999]


@pytest.mark.parametrize(("text", "reader"), each(MANIFESTS))
def test_a_manifest_that_no_run_wrote_is_refused(out, refused, reader, text):
    (out / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    refused(*READERS[reader], "manifest.json")


def test_links_and_pipes_in_a_run_directory_are_refused(out, refused, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    for name in ("evaluation.json", "lock", "metrics.jsonl", "config.yaml"):
        kept = (out / name).read_bytes() if (out / name).exists() else None
        (out / name).unlink(missing_ok=True)
        (out / name).symlink_to(target)
        refused(evaluate, ["out", "--episodes", "1"], name)
        (out / name).unlink()
        if kept is not None:
            (out / name).write_bytes(kept)
    assert target.read_text() == "precious"
    os.mkfifo(out / "tensorboard" / "pipe")
    refused(train, ["resume=out"], "pipe")


def rows_of(task="turn-0", rate=1.0, episodes=2, **others):
    row = {"step": 24, "success": {task: rate}, "return": {task: 1.0}, "mean_success": 1.0, "final": True}
    return json.dumps(row | {"episodes_per_task": episodes} | others)


ROWS = [
    rows_of(rate="1"),
    rows_of(rate=float("nan")),
    rows_of(rate=7),
    rows_of(success=[1]),
    rows_of(success={}),
    rows_of(episodes="many"),
    rows_of(episodes=10**400),
    rows_of(step=True),
    rows_of(task="\x1b[2J"),
    rows_of(**{"return": {"other": 1.0}}),
    "[" * 100_000,
    "[3]",
]


@pytest.mark.parametrize(("line", "reader"), each(ROWS))
def test_rows_of_another_kind_are_no_evaluations(out, refused, reader, line):
    (out / "evaluations.jsonl").write_text(line + "\n")
    for path in RunDirectory(out).saved():
        path.unlink()
    RunDirectory(out).finished()
    refused(*READERS[reader], "no evaluation")


@pytest.mark.parametrize("reader", ["evaluate", "report", "compare"])
def test_names_are_shown_and_not_obeyed(out, run, capsys, reader, tmp_path):
    names = ["$\\frac$", "[/bold]<script>alert(1)</script>", "../../etc/passwd", "\\input{x}"]
    row = json.loads(rows_of())
    for quantity in ("success", "return"):
        row[quantity] = dict.fromkeys(names, 1.0)
    (out / "evaluations.jsonl").write_text(json.dumps(row) + "\n")
    metrics = [
        {"step": 8, "actor/cosine": ["x"], "actor/weight/$\\frac$": "x", "critic/cosine": [1e400] * 6},
        {"step": 16, "actor/cosine": [1] * 6, "actor/weight/$\\frac$": 10**400, "critic/cosine": 3},
    ]
    (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in metrics))
    program, arguments = READERS[reader]
    assert run(program, *arguments) == 0
    if reader == "report":
        assert "<script>alert" not in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        (train, ["env=../agent/sac", "run_dir=new"], "unknown env '../agent/sac'"),
        (train, ["aggregator=/etc/passwd", "run_dir=new"], "unknown aggregator"),
        (train, ["env=custom", "env.tasks=[../../etc/passwd]", "run_dir=new"], "must be a Meta-World task"),
        (train, ["env=mt1", "env.task=a/b", "run_dir=new"], "must be a Meta-World task"),
        (train, ["env=point_mass", "run_dir="], "run_dir must be the path of a directory"),
        (train, ["env=point_mass", "run_dir=" + "a" * 300], "run_dir is too long"),
        (train, ["env=point_mass", "run_dir=/dev/null/x"], "cannot create run_dir"),
        (train, ["resume="], "resume must be the path of a directory"),
        (train, ["resume=/dev/null"], "no run directory"),
        (train, ["resume=/etc"], "is no run directory"),
        (train, ["env=point_mass", "~seed", "run_dir=new"], "has no 'seed'"),
        (evaluate, ["a" * 300], "File name too long"),
        (evaluate, ["out", "--out", "."], "--out must be a file"),
        (report, ["out", "--out", "folder.html"], "--out must be a file"),
        (record, ["out", "--out", "out/../../nowhere/x.mp4"], "no directory"),
    ],
)
def test_names_that_cannot_be_are_refused(out, refused, tmp_path, program, arguments, words):
    (tmp_path / "folder.html").mkdir()
    refused(program, arguments, words)
    assert not (tmp_path / "new").exists()
