import hashlib
import pickle

import pytest
import torch

import mtrl
from mtrl.errors import DamagedFileError, UsageError
from mtrl.runs import checkpoint

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
    with pytest.raises(UsageError, match=r"found builtins\.function"):
        checkpoint.save(path, {"value": lambda: None})
    assert checkpoint.load(path, CPU)["value"] == 1


class Bomb:
    def __reduce__(self):
        return (print, ("this must not run",))


def damaged(whole, damage):
    middle = len(whole) // 2
    return {
        "empty": b"",
        "truncated": whole[:600],
        "one bit": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "its first line": b"M" + whole[1:],
        "longer": whole + b"x",
    }[damage]


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "one bit", "its first line", "longer"])
def test_damage_is_found_and_named(tmp_path, damage):
    path = tmp_path / "state.pt"
    if damage != "missing":
        checkpoint.save(path, {"value": torch.zeros(1000)})
        path.write_bytes(damaged(path.read_bytes(), damage))
    with pytest.raises(DamagedFileError, match=r"state\.pt"):
        checkpoint.load(path, CPU)


def test_no_code_runs_even_where_the_checksum_is_right(tmp_path, capsys):
    path = tmp_path / "state.pt"
    content = pickle.dumps(Bomb())
    digest = hashlib.sha256(content).hexdigest()
    line = f"mtrl-checkpoint format={checkpoint.FORMAT} release=0 bytes={len(content)} sha256={digest}\n"
    path.write_bytes(line.encode() + content)
    with pytest.raises(DamagedFileError, match=r"state\.pt"):
        checkpoint.load(path, CPU)
    assert "must not run" not in capsys.readouterr().out


def test_another_file_of_the_same_name_is_noticed(tmp_path):
    path = tmp_path / "state.pt"
    digest = checkpoint.save(path, {"value": 1})
    assert checkpoint.load(path, CPU, digest) == {"value": 1}
    checkpoint.save(path, {"value": 2})
    with pytest.raises(DamagedFileError, match="not the file"):
        checkpoint.load(path, CPU, digest)


def test_another_format_is_named_with_the_release_that_wrote_it(tmp_path):
    path = tmp_path / "state.pt"
    checkpoint.save(path, {})
    written = f"format={checkpoint.FORMAT} release={mtrl.__version__}".encode()
    path.write_bytes(path.read_bytes().replace(written, b"format=9 release=4.2.0"))
    with pytest.raises(UsageError, match=r"format 9, written by mtrl 4\.2\.0"):
        checkpoint.load(path, CPU)
    torch.save({"format": 1}, path)
    with pytest.raises(UsageError, match=r"format 1, written by a version before 0\.1\.0"):
        checkpoint.load(path, CPU)
