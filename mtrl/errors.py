"""The one error that a user can cause."""


class UsageError(ValueError):
    """A value, name or path that a user gave is not acceptable.

    The message names the parameter, the rule, the value found and the remedy. The programs in
    ``scripts/`` print it as one line and exit with status 2.
    """


def require(condition: bool, message: str) -> None:
    """Raise :class:`UsageError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise UsageError(message)
