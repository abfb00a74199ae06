import pickle

import pytest
import torch

from mtrl import checkpoint
from mtrl.errors import UsageError

CPU = torch.device("cpu")


def test_what_was_saved_is_loaded(tmp_path):
    path = tmp_path / "deep" / "state.pt"
    checkpoint.save(path, {"tensor": torch.arange(3), "nested": {"count": 2}})
    state = checkpoint.load(path, CPU)
    assert state["tensor"].tolist() == [0, 1, 2]
    assert state["nested"] == {"count": 2}
    assert [entry.name for entry in path.parent.iterdir()] == ["state.pt"]


def test_a_failed_write_leaves_the_previous_file(tmp_path):
    path = tmp_path / "state.pt"
    checkpoint.save(path, {"value": 1})
    with pytest.raises(Exception, match="pickle"):
        checkpoint.save(path, {"value": lambda: None})
    assert checkpoint.load(path, CPU)["value"] == 1


class Bomb:
    def __reduce__(self):
        return (print, ("this must not run",))


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "pickle"])
def test_unusable_files_are_refused_without_running_code(tmp_path, damage, capsys):
    path = tmp_path / "state.pt"
    if damage != "missing":
        checkpoint.save(path, {"value": torch.zeros(1000)})
        whole = path.read_bytes()
        damaged = {"empty": b"", "truncated": whole[:600], "pickle": pickle.dumps(Bomb())}
        path.write_bytes(damaged[damage])
    with pytest.raises(UsageError, match=r"state\.pt"):
        checkpoint.load(path, CPU)
    assert "must not run" not in capsys.readouterr().out


def test_another_format_is_named(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"format": 99}, path)
    with pytest.raises(UsageError, match="format 99"):
        checkpoint.load(path, CPU)
