import os
import subprocess
import sys
from pathlib import Path

from examples.train_from_python import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_from_python.py"


def test_as_a_script_it_trains_with_a_class_that_only_it_can_name(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLE)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "after 1000 steps, the action of turn-90: [" in result.stdout
    assert "only Python can resume this run" in result.stdout
    assert "_target_: __main__.InverseNorm" in (tmp_path / "runs/from_python/config.yaml").read_text()


def test_another_call_goes_on_and_finds_it_finished(tmp_path, capsys):
    for _ in range(2):
        main(tmp_path / "run", steps=300)
    assert capsys.readouterr().out.count("is finished") == 1
