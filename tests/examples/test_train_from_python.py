from pathlib import Path

from examples.train_from_python import main
from tests.warm_start import Program

EXAMPLE = Path(__file__).parents[2] / "examples" / "train_from_python.py"


def test_as_a_script_it_trains_with_a_class_that_only_it_can_name(tmp_path):
    program = Program(tmp_path, EXAMPLE)
    printed, error = program.communicate()
    assert program.returncode == 0, error
    assert "after 1000 steps, the action of turn-90: [" in printed
    assert "only Python can resume this run" in printed
    assert "_target_: __main__.InverseNorm" in (tmp_path / "runs/from_python/config.yaml").read_text()


def test_another_call_goes_on_and_finds_it_finished(tmp_path, capsys):
    for _ in range(2):
        main(tmp_path / "run", steps=300)
    assert capsys.readouterr().out.count("is finished") == 1
