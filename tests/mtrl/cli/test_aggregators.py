from mtrl.cli import aggregators
from mtrl.config.registry import method_names


def test_the_table_lists_every_method_with_its_use(run, capsys):
    assert run(aggregators) == 0
    printed = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in method_names():
        assert f" {name} " in printed
    assert "Liu et al., NeurIPS 2021" in printed
