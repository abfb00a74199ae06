import json
import subprocess
import sys

import numpy as np
import pytest

from mtrl.analysis.statistics import (
    bootstrap_interval,
    interquartile_mean,
    mean,
    mean_rank,
    probability_of_improvement,
    relative_drop,
)
from mtrl.errors import UsageError

STATISTICS = {
    "iqm": (interquartile_mean, 1),
    "mean": (mean, 1),
    "improvement": (probability_of_improvement, 2),
}


def random_scores(*runs, tasks=4, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.binomial(20, rng.uniform(size=(count, tasks))) / 20 for count in runs]


def interval(statistic, samples, seed=0, **options):
    return bootstrap_interval(statistic, samples, np.random.default_rng(seed), **options)


def test_interquartile_mean_is_the_mean_of_the_middle_half():
    assert interquartile_mean(np.array([[0.0, 1.0, 2.0, 100.0]])) == 1.5


@pytest.fixture(scope="module")
def rliable():
    """The estimates and intervals of rliable, in a process of its own: its logging closes standard error."""
    one, two = ([scores.tolist() for scores in random_scores(*runs)] for runs in ((5,), (5, 4)))
    program = f"""
import json
import numpy as np
from rliable import library, metrics
one, two = (tuple(map(np.array, scores)) for scores in ({one}, {two}))
functions = {{
    "iqm": (metrics.aggregate_iqm, one[0]),
    "mean": (metrics.aggregate_mean, one[0]),
    "improvement": (metrics.probability_of_improvement, two),
}}
found = {{}}
for name, (function, data) in functions.items():
    def statistic(*scores):
        return np.array([function(*scores)])
    np.random.seed(0)  # from where one of its two bootstraps draws whatever it is given
    state = np.random.RandomState(0)
    estimates, intervals = library.get_interval_estimates(
        {{name: data}}, statistic, reps=2000, random_state=state
    )
    found[name] = [*estimates[name], *intervals[name][:, 0]]
print(json.dumps(found))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", STATISTICS)
def test_estimates_and_intervals_equal_those_of_rliable(rliable, name):
    statistic, arity = STATISTICS[name]
    ours = interval(statistic, random_scores(*(5, 4)[:arity]))
    estimate, low, high = rliable[name]
    assert ours.estimate == pytest.approx(estimate, abs=1e-12)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.02)  # of 2000 resamples
    assert ours.low < ours.estimate < ours.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = [
        (found := interval(mean, [rng.normal(0.5, 0.1, (10, 5))], seed, resamples=300)).low
        <= 0.5
        <= found.high
        for seed in range(200)
    ]
    assert 0.85 < np.mean(covered) < 0.99


def test_a_single_run_has_no_interval():
    found = interval(interquartile_mean, [np.array([[0.1, 0.9]])])
    assert (found.low, found.high) == (None, None)
    (first, second) = random_scores(5, 1)
    assert interval(probability_of_improvement, [first, second]).low is None


def test_equal_runs_have_an_interval_without_width():
    found = interval(interquartile_mean, [np.ones((3, 4))])
    assert (found.low, found.estimate, found.high) == (1, 1, 1)


def test_a_tie_is_half_an_improvement():
    better, worse = np.array([[0.5, 1.0]]), np.array([[0.5, 0.0]])
    assert probability_of_improvement(better, worse) == 0.75
    assert probability_of_improvement(worse, better) == 0.25


def test_ranks_are_averaged_over_tasks_and_shared_by_equals():
    scores = np.array([[0.9, 0.5], [0.1, 0.5], [0.4, 0.0]])
    assert mean_rank(scores).tolist() == [1.25, 2.25, 2.5]


def test_relative_drop_is_negative_where_a_method_is_better_and_skips_zeros():
    assert relative_drop(np.array([0.6, 0.3, 0.5]), np.array([0.5, 0.4, 0.0])) == (pytest.approx(2.5), 2)
    assert relative_drop(np.ones(2), np.zeros(2)) == (None, 0)


@pytest.mark.parametrize("scores", [np.zeros(3), np.zeros((0, 3))])
def test_scores_need_runs_and_tasks(scores):
    with pytest.raises(UsageError, match=r"\[runs, tasks\]"):
        interval(mean, [scores])
