"""Gradient aggregators: ``Name(num_tasks, **hyperparameters)(gradients, losses) -> Direction``."""

from mtrl.aggregators.base import Aggregator, GramAggregator, gram_matrix
from mtrl.aggregators.cagrad import CAGrad
from mtrl.aggregators.mean import Mean

__all__ = ["Aggregator", "CAGrad", "GramAggregator", "Mean", "gram_matrix"]
