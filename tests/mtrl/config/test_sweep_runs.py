"""What a sweep makes of its runs, with processes that only pretend to train."""

import json
from pathlib import Path

import pytest

from mtrl.cli import train
from mtrl.config import sweep_runs
from mtrl.config.compose import compose_config
from mtrl.config.literals import option_of
from mtrl.config.sweep_runs import report, run_one, write_plan
from tests.tiny_run import TINY


class Pretended:
    """A process that ends at once with ``status``; its run has a final evaluation if that is ``final``."""

    pid, status, final = 0, 0, True

    def __init__(self, command, **_):
        run_dir = compose_config([word for word in command if option_of(word) == "run_dir"]).run_dir
        Path(run_dir).mkdir()
        Path(run_dir, "evaluations.jsonl").write_text(json.dumps({"step": 1, "final": self.final}) + "\n")

    def wait(self, timeout=None):
        return self.status

    def terminate(self):
        pass


@pytest.fixture
def pretended(monkeypatch):
    def pretend(**outcome):
        kind = type("Process", (Pretended,), outcome)
        monkeypatch.setattr(sweep_runs.subprocess, "Popen", kind)

    pretend()
    return pretend


def planned(folder, *seeds):
    return write_plan([[f"seed={seed}", f"run_dir={folder}"] for seed in seeds], ["mtrl-train"])


@pytest.mark.parametrize(
    ("folder", "where"), [("a:b/прогон lr=1e-3", "a:b/прогон lr=1e-3"), ("~/'s study", "home/'s study")]
)
def test_its_folder_may_have_any_name_and_m_any_place(
    folder, where, run, pretended, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert run(train, *TINY, f"run_dir={folder}", "-m", "seed=0,1") == 0
    assert "2 runs finished, 0 failed" in capsys.readouterr().out
    found = sorted(path.name for path in (tmp_path / where).iterdir())
    assert len(found) == 4
    assert found[1] == f"{found[0]}.log"
    assert found[0].startswith("point_mass_sac_cagrad-seed0-")


@pytest.mark.parametrize(
    ("status", "final", "failed"), [(0, True, 0), (1, True, 0), (0, False, 1), (1, False, 1)]
)
def test_a_run_is_finished_if_its_directory_says_so(status, final, failed, pretended, tmp_path, capsys):
    pretended(status=status, final=final)
    records = planned(tmp_path / "study", 3)
    run_one(records, 0)
    assert report(records, planned=1) is bool(failed)
    printed = capsys.readouterr().out
    assert f"{1 - failed} runs finished, {failed} failed" in printed
    assert printed.count(f"status {status}") == 2 * failed
    assert ("status 0 and no final evaluation" in printed) is (status == 0 and not final)


def test_a_run_that_its_launcher_lost_is_reported_too(pretended, tmp_path, capsys):
    class Lost(BaseException):
        """Stands for a signal that leaves no time for anything."""

    def vanish(self, timeout=None):
        raise Lost

    pretended(wait=vanish, final=False)
    lost = tmp_path / "lo st"
    records = planned(lost, 3)
    with pytest.raises(Lost):
        run_one(records, 0)
    capsys.readouterr()
    assert report(records, planned=1)
    printed = capsys.readouterr().out
    assert "0 runs finished, 1 failed" in printed
    assert "no status yet" in printed
    assert f"mtrl-train seed=3 'run_dir={lost}/" in printed


def test_two_sweeps_in_one_folder_count_their_own_runs(pretended, tmp_path, capsys):
    first, second = planned(tmp_path, 0, 1), planned(tmp_path, 2)
    run_one(first, 0)
    pretended(status=1, final=False)
    run_one(second, 0)
    pretended()
    run_one(first, 1)
    capsys.readouterr()
    assert not report(first, planned=2)
    assert "2 runs finished, 0 failed\n" in capsys.readouterr().out
    assert report(second, planned=1)
    assert "0 runs finished, 1 failed\n" in capsys.readouterr().out


def test_a_stopped_sweep_starts_nothing_more(pretended, tmp_path, capsys):
    records = planned(tmp_path, 0, 1)
    run_one(records, 0)
    sweep_runs.stop(records)
    run_one(records, 1)
    assert report(records, planned=2)
    assert "1 runs finished, 0 failed, 1 not started" in capsys.readouterr().out
