"""The README from top to bottom, as someone new types it in a fresh clone, with nothing going wrong."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.docs.commands import ROOT, commands
from tests.waiting import PATIENCE, wait_until

SHORT = (
    *("steps_per_task=60", "warmup_steps=10", "batch_size=4", "replay_capacity=200", "log_interval=20"),
    *("evaluation_interval=40", "evaluation_episodes=1", "final_episodes=2", "agent.network.hidden=[16]"),
)
# Options that cost time or memory and show a newcomer nothing.
SHORTER = {
    "env.workers=8": "env.workers=1",
    "env.copies=2": "env.copies=1",
    "50": "2",
    "seed=0,1,2": "seed=0,1",
}
# Installed already, the tests themselves, and measurements that want a machine of their own.
LEFT_OUT = ("make test", "python3 -m venv", ".venv/bin/python -m", "OMP_NUM_THREADS=1")
WRONG = re.compile(r"Traceback|^error|[Ww]arning|not finite|damaged", re.MULTILINE)


@pytest.fixture
def clone(tmp_path):
    """What git would bring, with a virtual environment as `make install` leaves it."""
    top = tmp_path / "mtrl"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        target = top / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, target, follow_symlinks=False)
    venv.create(top / ".venv", symlinks=True)
    (site,) = (top / ".venv" / "lib").glob("python3*/site-packages")
    (site / "installed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{top}\n")
    (top / ".venv" / ".installed").touch()
    return top


class Shell:
    """Types commands in the clone, with its environment activated."""

    def __init__(self, top):
        self.top = top
        self.said = {}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.environment = kept | {
            "PATH": f"{top}/.venv/bin:{os.environ['PATH']}",
            "VIRTUAL_ENV": str(top / ".venv"),
            "OMP_NUM_THREADS": "1",
        }

    def type(self, line):
        ended = subprocess.run(
            ["bash", "-c", line],
            cwd=self.top,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}"
        explains = "--help" in line  # what is not finite, among others
        assert explains or not WRONG.search(ended.stdout), f"{line}\n{ended.stdout}"
        return ended.stdout

    def type_until_ctrl_c(self, line):
        """Type Ctrl-C once the run has made an update; what it printed."""
        before = set(self.top.glob("runs/**/metrics.jsonl"))
        with subprocess.Popen(
            ["bash", "-c", f"exec {line}"],
            cwd=self.top,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            wait_until(lambda: set(self.top.glob("runs/**/metrics.jsonl")) - before)
            process.send_signal(signal.SIGINT)
            printed, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        return printed


def shortened(words):
    """A command of the README that takes seconds."""
    if words == ["make", "train"]:
        return ["make", "train", "ARGS=" + shlex.join(["experiment=quick_mt10", "env.horizon=20", *SHORT])]
    words = [SHORTER.get(word, word) for word in words]
    if "scripts/train.py" not in words or "--help" in words or "resume=RUN_DIR" in words:
        return words
    simulated = not any("toy" in word or "gymnasium" in word for word in words)
    words = [word for word in words if not word.startswith("steps_per_task=")]
    return [*words, *SHORT, *["env.horizon=20"] * simulated]


@pytest.mark.slow
def test_the_readme_can_be_walked_through(clone):
    shell = Shell(clone)
    tasks = re.search(
        r"```python\n(# my_tasks\.py\n.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL
    )
    (clone / "my_tasks.py").write_text(tasks[1])
    run_dir, walked = None, 0
    for words in commands("README.md"):
        if " ".join(words).startswith(LEFT_OUT) and "scripts/train.py" not in words:
            continue
        if "resume=RUN_DIR" in words:  # the command to type is the one that a stopped run prints
            line = shlex.join(["python", "scripts/train.py", "experiment=toy", "log_interval=20"])
            said = shell.type_until_ctrl_c(line)
            shell.type(re.search(r"to go on: (.+)", said)[1])
            continue
        line = shlex.join(shortened(words)).replace("RUN_DIR", str(run_dir))
        said = shell.type(line)
        walked += 1
        if ("scripts/train.py" in words and "-m" not in words and "--help" not in words) or words[
            0
        ] == "make":
            assert re.search(r"^finished after .* success \d\.\d{3}", said, re.MULTILINE), said
            following = re.search(r"^next: (.+)", said, re.MULTILINE)[1]
            run_dir = run_dir or Path(re.search(r"^run: (.+)", said, re.MULTILINE)[1])
            if walked < 4:
                assert "Methods" in shell.type(following)
    assert walked > 25
    for name in ("curves.csv", "figures/mt10", "report.html", "policy.pt2", "video.mp4", "figure.png"):
        assert (clone / name).exists(), name
