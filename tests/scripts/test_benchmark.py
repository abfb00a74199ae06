import json
import sys

from scripts import benchmark


def test_update_prints_and_writes_ratios_of_one_run(monkeypatch, tmp_path, capsys):
    target = tmp_path / "rows.json"
    options = ["update", "--batch-size", "2", "--repeats", "1", "--full-passes", "--json", str(target)]
    monkeypatch.setattr(sys, "argv", ["benchmark", *options])
    benchmark.main()
    rows = {row["contender"]: row for row in json.loads(target.read_text())}
    assert set(rows) == {"mean", "cagrad", "critic gradients, sliced", "critic gradients, K full passes"}
    assert rows["mean"]["ratio"] == 1
    assert all(row["milliseconds"] > 0 for row in rows.values())
    assert "cagrad" in capsys.readouterr().out


def test_both_ways_to_the_critic_gradients_agree():
    import torch

    from agents.sac import SAC
    from mtrl.aggregators import Mean
    from mtrl.types import SuiteSpec

    spec = SuiteSpec(("a", "b"), 39, 4, 500, 50)
    agent = SAC(spec, Mean(2), Mean(2), torch.device("cpu"), torch.Generator(), hidden=[8])
    batch = benchmark._random_batch(spec, 4, torch.device("cpu"))
    passes = torch.stack(benchmark._full_pass_gradients(agent, batch))
    with torch.no_grad():
        sliced = agent.critic_direction(agent.critic_rows(batch, batch.reward)).gradients
    torch.testing.assert_close(passes, sliced, rtol=1e-4, atol=1e-5)
