"""Errors of the request itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tunesmith.spec.errors.base import TunesmithError, did_you_mean

SHOWN: Final = 200
"""Characters of a wrong value that its sentence repeats."""


class UsageError(TunesmithError):
    """A flag, command or value that the request may not have."""

    code = "usage"
    status = 422
    exit_code = 2


class BadValue(UsageError):
    """A value of the wrong type or out of range."""

    code = "bad_value"

    def __init__(self, name: str, value: object, wanted: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
        super().__init__(f"{name}: {shown} is not {wanted}. Give {wanted}.")
        self.param = name


class UnknownParameter(UsageError):
    """A name in the query of a request that the route does not have."""

    code = "unknown_parameter"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        have = f"Known here: {', '.join(known)}." if known else "This takes none."
        name = name[:SHOWN]
        super().__init__(f"{name}: there is no such parameter.{did_you_mean(name, known)} {have}")
        self.param = name


class NobodysHome(UsageError):
    """A path that begins with the home of somebody who is not there."""

    code = "nobodys_home"

    def __init__(self, path: object) -> None:
        super().__init__(f"{str(path)[:SHOWN]}: there is nobody here whose home this could be. Write the path in full.")


class NotServed(UsageError):
    """A field of OpenAI's that asks a model for something that is not done here."""

    code = "not_served"

    def __init__(self, name: str, harmless: Iterable[object]) -> None:
        instead = "".join(f", or give {value!r}" for value in harmless)
        super().__init__(
            f"{name}: the models that are served here cannot do what this asks for. Leave it out{instead}."
        )
        self.param = name


class MessagesRefused(UsageError):
    """Messages that the chat template of a model does not take."""

    code = "messages_refused"

    def __init__(self, why: str) -> None:
        super().__init__(f"messages: the model's chat template does not take them: {why}. Send others.")
        self.param = "messages"


class Contradiction(UsageError):
    """Two flags that cannot both hold."""

    code = "contradiction"

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second} contradict each other. Give one of them.")


class NeverCut(UsageError):
    """A length for rows that are whole or of no use."""

    code = "never_cut"

    def __init__(self, length: int) -> None:
        super().__init__(
            f"--max-seq-length {length}: rows of pictures and recordings are never cut at a length. Leave it out."
        )
        self.param = "--max-seq-length"


class PromptTooLong(UsageError):
    """A prompt that fills all that the model can see."""

    code = "context_length_exceeded"

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"The prompt has {tokens} tokens and the model sees {limit}. Shorten the conversation.")


class UnknownName(UsageError):
    """A name (of a format, mode, alias, ...) that does not exist."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        super().__init__(f"There is no {kind} '{name}'.{did_you_mean(name, names)} Known: {', '.join(names)}.")
