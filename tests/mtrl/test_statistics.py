import numpy as np
import pytest

from mtrl.errors import UsageError
from mtrl.statistics import bootstrap_interquartile_mean, interquartile_mean


def test_interquartile_mean_is_the_mean_of_the_middle_half():
    assert interquartile_mean(np.array([[0.0, 1.0, 2.0, 100.0]])) == 1.5


def test_interval_agrees_with_a_plain_stratified_bootstrap():
    scores = np.random.default_rng(0).uniform(size=(5, 4))
    interval = bootstrap_interquartile_mean(scores, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    replicates = []
    for _ in range(4000):
        rows = rng.integers(5, size=(5, 4))
        replicates.append(interquartile_mean(np.take_along_axis(scores, rows, axis=0)))
    low, high = np.percentile(replicates, [2.5, 97.5])
    assert interval.low == pytest.approx(low, abs=0.01)
    assert interval.high == pytest.approx(high, abs=0.01)
    assert interval.low < interval.estimate < interval.high


def test_a_single_run_has_no_interval():
    interval = bootstrap_interquartile_mean(np.array([[0.1, 0.9]]), np.random.default_rng(0))
    assert (interval.low, interval.high) == (None, None)


def test_scores_need_two_dimensions():
    with pytest.raises(UsageError, match=r"\[runs, tasks\]"):
        bootstrap_interquartile_mean(np.zeros(3), np.random.default_rng(0))
