import pytest
from hydra import compose, initialize_config_module

from tests.mtrl.aggregators.built_aggregators import FOLDER, METHODS


@pytest.mark.parametrize("method", METHODS)
def test_the_file_explains_itself(method):
    lines = (FOLDER / f"{method}.yaml").read_text().splitlines()
    assert lines[0].startswith("# "), "the first line is what --help shows"
    assert lines[1].startswith("# use: "), "the second line is what mtrl-aggregators adds"
    options = [line for line in lines[2:] if not line.lstrip().startswith("_target_") and line != "inner:"]
    for line in options:
        assert " # " in line, f"{line!r} has no explanation"


@pytest.mark.parametrize("method", METHODS)
def test_the_command_line_finds_it(method):
    with initialize_config_module("mtrl.configs", version_base="1.3"):
        config = compose("train", overrides=[f"aggregator={method}"])
    assert config.aggregator._target_.startswith("mtrl.aggregators.")


def test_a_torchjd_method_is_chosen_by_name_with_its_own_options():
    with initialize_config_module("mtrl.configs", version_base="1.3"):
        overrides = ["aggregator=torchjd", "aggregator.name=CAGrad", "+aggregator.c=0.5"]
        node = compose("train", overrides=overrides).aggregator
    assert (node.name, node.c) == ("CAGrad", 0.5)
