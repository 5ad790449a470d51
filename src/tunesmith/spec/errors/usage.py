"""Errors of the request itself."""

from __future__ import annotations

from collections.abc import Iterable

from tunesmith.spec.errors.base import TunesmithError, did_you_mean


class UsageError(TunesmithError):
    """A flag, command or value that the request may not have."""

    code = "usage"
    status = 422
    exit_code = 2


class BadValue(UsageError):
    """A value of the wrong type or out of range."""

    code = "bad_value"

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(f"{name}: {value!r} is not {wanted}. Give {wanted}.")


class Contradiction(UsageError):
    """Two flags that cannot both hold."""

    code = "contradiction"

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second} contradict each other. Give one of them.")


class PromptTooLong(UsageError):
    """A prompt that fills all that the model can see."""

    code = "prompt_too_long"

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"The prompt has {tokens} tokens and the model sees {limit}. Shorten the conversation.")


class UnknownName(UsageError):
    """A name (of a format, mode, alias, ...) that does not exist."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"There is no {kind} '{name}'.{did_you_mean(name, names)} Known: {', '.join(names)}.")
