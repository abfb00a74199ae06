"""Pays for pushing a mug under a coffee machine: coffee-push-v3."""

from mtrl.envs.metaworld.warp.tasks.coffee_pull import CoffeePull


class CoffeePush(CoffeePull):
    """coffee-push-v3: the way back, shown and paid in the same way."""
