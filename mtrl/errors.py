"""Errors that are no bug of the program: a user's, and an environment's."""


class UsageError(ValueError):
    """A value, name or path that a user gave is not acceptable.

    The message names the parameter, the rule, the value found and the remedy. The programs in
    ``scripts/`` print it as one line and exit with status 2.
    """


def require(condition: bool, message: str) -> None:
    """Raise :class:`UsageError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise UsageError(message)


class EnvironmentFailedError(RuntimeError):
    """An environment raised or its process ended, and trying again did not help or cannot.

    The message names the task and the cause. The programs in ``scripts/`` exit with status 1.
    """


class EpisodesLostError(RuntimeError):
    """A process that steps environments ended and was replaced; every running episode starts anew."""
