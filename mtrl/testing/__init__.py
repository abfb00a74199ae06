"""Checks a class of your own against the contract that an aggregator, a network or a suite must meet."""

from mtrl.testing.aggregator import check_aggregator
from mtrl.testing.failure import ContractError
from mtrl.testing.network import check_network
from mtrl.testing.suite import check_suite

__all__ = ["ContractError", "check_aggregator", "check_network", "check_suite"]
