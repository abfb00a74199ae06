"""What an error says a person can do about it."""

from mtrl.errors import StorageError


def test_a_full_disk_is_reported_with_the_run_to_continue(tmp_path):
    full = OSError(28, "No space left on device")
    checkpoint = tmp_path / "out" / "checkpoints" / "step_1.pt"
    assert str(StorageError(checkpoint, full)).endswith("then start it again")
    checkpoint.parent.mkdir(parents=True)
    (tmp_path / "out" / "config.yaml").touch()
    said = str(StorageError(checkpoint, full))
    run = tmp_path / "out"
    assert said.endswith(f"continue the run: resume={run}, or in Python run_dir='{run}' and resume=True")
