"""The way of one batch stays short: what a reader has to open to follow an update."""

import batch_path
import pytest


@pytest.mark.parametrize(("aggregator", "functions", "files"), [("cagrad", 47, 17), ("mean", 45, 15)])
def test_the_way_of_a_batch_does_not_grow(aggregator, functions, files):
    path = batch_path.batch_path("sac", aggregator)
    found = batch_path.totals(path)
    assert found[0] <= functions, path
    assert found[1] <= files, path


def test_the_way_is_printed_in_order(run, capsys):
    assert run(batch_path, "--aggregator", "mean") == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[-1] for line in lines[:-1]]
    assert names[0] == "Replay.sample"
    assert names[-1] == "AdamW.move"
    assert (
        names.index("TaskLosses.td_target")
        < names.index("TaskLosses.critic_loss")
        < names.index("Mean.weights")
    )
    assert lines[-1] == f"agent=sac aggregator=mean: {len(names)} functions in 15 files"


def test_an_unknown_agent_is_one_line(run, capsys):
    assert run(batch_path, "--agent", "nope") == 2
    assert "nope" in capsys.readouterr().err
