"""Errors of models that answer."""

from __future__ import annotations

from tunesmith.spec.errors.base import TunesmithError
from tunesmith.spec.errors.generation import ServerBusy


class ServingError(TunesmithError):
    """A model cannot answer."""

    code = "serving"
    status = 503
    exit_code = 70


class ModelGone(ServingError):
    """The process that holds a model ended while it was needed."""

    code = "model_gone"

    def __init__(self, why: str = "it ended", *, when: str = "in the middle of an answer") -> None:
        super().__init__(f"The process that holds the model went away {when} ({why}). Ask again.")


class NoMemoryYet(ServerBusy):
    """The memory that a model needs is taken by models that are answering."""

    code = "no_memory_yet"

    def __init__(self, model: str, wait: float) -> None:
        TunesmithError.__init__(
            self,
            f"There is no memory for model '{model[:80]}' while others answer. Try again in {wait:.0f} seconds.",
        )
        self.wait = wait


class ModelNotReady(ServingError):
    """A model whose job is not over, or made none."""

    code = "model_not_ready"
    status = 409

    def __init__(self, model: str, state: str) -> None:
        super().__init__(f"Model '{model[:80]}' cannot answer: its job is {state}. Ask a job that succeeded.")


class AdapterTooLarge(ServingError):
    """An adapter that is larger than the server loads."""

    code = "adapter_too_large"
    status = 413

    def __init__(self, model: str, megabytes: float, limit: float) -> None:
        super().__init__(
            f"The adapter of '{model[:80]}' has {megabytes:,.1f} MB, and this server loads up to {limit:,.1f} MB "
            "(TUNESMITH_MAX_ADAPTER_MB). Train one of a lower rank, or have the limit raised."
        )


class ModelTooLarge(ServingError):
    """A model that this machine's memory for answering does not hold."""

    code = "model_too_large"
    status = 507

    def __init__(self, model: str, needed: float, limit: float) -> None:
        super().__init__(
            f"Model '{model[:80]}' needs about {needed:.1f} GB, and {limit:.1f} GB are there for answering. Free some "
            "memory, or raise TUNESMITH_SERVE_MEMORY_GB."
        )


class NoMemoryLeft(ServingError):
    """Memory that ran out while a model answered."""

    code = "no_memory_left"

    def __init__(self) -> None:
        super().__init__(
            "The model's process ran out of memory in the middle of an answer. Ask for fewer or shorter answers, or "
            "lower TUNESMITH_SERVE_ROWS."
        )


class AskedOtherwise(ServingError):
    """A model that is asked for something that models of its kind do not do."""

    code = "asked_otherwise"
    status = 422
    exit_code = 78

    def __init__(self, model: str, does: str, doors: str) -> None:
        super().__init__(f"Model '{model[:80]}' cannot answer this: it {does}. Ask it by {doors}.")


class UnreadableContent(ServingError):
    """A picture or a recording, sent to be looked at or listened to, that cannot be decoded."""

    code = "unreadable_content"
    status = 422
    exit_code = 65

    def __init__(self, why: str, name: str = "file") -> None:
        super().__init__(f"The {name} cannot be used: {why.strip().rstrip('.')}. Send another one.")


class ContentTooLarge(ServingError):
    """A picture or a recording that is larger than models are shown."""

    code = "content_too_large"
    status = 413
    exit_code = 65

    def __init__(self, limit: int, name: str = "file") -> None:
        super().__init__(f"The {name} is larger than {limit:,} bytes, which is the most. Send a smaller one.")


class CheckpointSilent(ServingError):
    """A checkpoint of a model of pictures or sounds whose run has no result, which would say what the model is."""

    code = "checkpoint_silent"
    status = 422
    exit_code = 78

    def __init__(self, model: str, does: str) -> None:
        super().__init__(
            f"Model '{model[:80]}' is a checkpoint, and a model that {does} answers only with the result of its run: "
            "let the run finish or land, then ask again."
        )


class Untrained(ServingError):
    """A model that lacks the part that would answer."""

    code = "untrained"
    status = 422
    exit_code = 78

    def __init__(self, model: str, why: str) -> None:
        super().__init__(f"Model '{model[:80]}' cannot answer yet: {why}. Train it first, then ask the result.")
