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
