"""Shares and drives without locks, or without a sync of directories: a run does without."""

import errno
import fcntl
import os
import stat

import pytest

from mtrl.cli import train
from mtrl.errors import StorageError, UsageError
from mtrl.runs import checkpoint, shared_storage
from mtrl.runs.directory import RunDirectory
from tests.tiny_run import TINY


def failing(number):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.fixture
def sync_of_directories(monkeypatch):
    """Has syncing a directory fail with an error number."""
    sync = os.fsync

    def refuse(number):
        def fsync(descriptor):
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(number, os.strerror(number))
            sync(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    return refuse


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_a_run_does_without_locks_and_syncs_where_there_are_none(
    run, tmp_path, monkeypatch, capsys, sync_of_directories, number
):
    monkeypatch.setattr(fcntl, "flock", failing(number))
    sync_of_directories(errno.EINVAL)
    assert run(train, *TINY, "steps_per_task=20", "warmup_steps=18", "run_dir=out") == 0
    assert f"the file system of out has no locks ({os.strerror(number)})" in capsys.readouterr().out
    assert RunDirectory(tmp_path / "out").finished()


def test_without_locks_the_text_of_the_file_keeps_processes_of_one_machine_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    other, path, said = os.getppid(), tmp_path / "lock", []
    place = f"process {other} on {os.uname().nodename} since "
    path.write_text(f"{place}{shared_storage._begun(other)}\n")
    with pytest.raises(UsageError, match=f"in use by process {other} on"):
        shared_storage.lock(path, said.append)
    path.write_text(f"{place}1\n")  # one of the same number, which is gone
    shared_storage.unlock(shared_storage.lock(path, said.append))
    assert len(said) == 1
    assert path.read_text() == ""


def test_a_run_starts_while_others_look_whether_it_runs(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    path.write_text("process 1 on elsewhere\n")  # which was killed
    looking = path.open("rb")
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr(shared_storage.time, "sleep", lambda _: looking.close())
    descriptor = shared_storage.lock(path, print)
    assert shared_storage.is_locked(path)
    with pytest.raises(UsageError, match="is in use by process"):
        shared_storage.lock(path, print)
    shared_storage.unlock(descriptor)


def test_a_disk_that_fails_is_no_share_without_syncs(tmp_path, sync_of_directories):
    sync_of_directories(errno.EIO)
    with pytest.raises(StorageError, match="Input/output error"):
        checkpoint.save(tmp_path / "step.pt", {"a": 1})
