"""Errors of a loaded model that several people ask at once."""

from __future__ import annotations

from pathlib import Path

from tunesmith.spec.errors.configuration import ConfigError
from tunesmith.spec.errors.running import RunError
from tunesmith.spec.errors.service import ServiceError


class ServerBusy(ServiceError):
    """More people wait for an answer than may wait."""

    code = "server_busy"
    status = 429

    def __init__(self, waiting: int, wait: float) -> None:
        super().__init__(f"{waiting} requests wait for this model already. Try again in {wait:.0f} seconds.")
        self.wait = wait
        """Seconds after which it is worth asking again."""


class AdapterNotLive(ConfigError):
    """An adapter whose weights say that it was trained and whose answers say that it is not there."""

    code = "adapter_not_live"
    status = 500

    def __init__(self, adapter: Path) -> None:
        super().__init__(
            f"{adapter}: its weights are trained, and the model answers as if it were not there. "
            "Nothing is answered with it; check that it belongs to this model, or merge it into a model of its own."
        )


class AdapterNotPerRow(ConfigError):
    """An adapter that changes more than the linear layers, so that it cannot share a batch with others."""

    code = "adapter_not_per_row"

    def __init__(self, adapter: Path, why: str) -> None:
        super().__init__(f"{adapter}: {why}, so it cannot share a loaded model with others. Serve it merged instead.")


class AdapterNotLoaded(ServiceError):
    """An adapter that left memory before it was asked."""

    code = "adapter_not_loaded"
    status = 409

    def __init__(self, adapter: str) -> None:
        super().__init__(f"The adapter '{adapter}' is not in memory. Load it, then ask again.")


class NoRoomForAdapter(ServiceError):
    """An adapter that does not fit beside those that are answering now."""

    code = "no_room_for_adapter"
    status = 503

    def __init__(self, adapter: str, needed: int, allowed: int) -> None:
        super().__init__(
            f"The adapter '{adapter}' takes {needed:,} bytes, and {allowed:,} are for adapters. "
            "Try again when running answers have ended, or give the server more memory."
        )


class LogitsNotNumbers(RunError):
    """A model whose computation overflowed in the middle of an answer."""

    code = "logits_not_numbers"

    def __init__(self) -> None:
        super().__init__(
            "The model's computation gave no numbers in the middle of this answer. "
            "Check that its weights are whole, or load it with --precision fp32."
        )


class DecodingFailed(RunError):
    """A step of the computation that failed, with all the answers in it."""

    code = "decoding_failed"

    def __init__(self, why: BaseException) -> None:
        said = next(iter(str(why).strip().splitlines()), type(why).__name__)
        super().__init__(f"The computation failed in the middle of this answer ({said}). Ask again, or for less.")


class PoolingUnknown(ConfigError):
    """A model of sentence vectors that pools in a way that is not computed here."""

    code = "pooling_unknown"

    def __init__(self, model: Path, how: str) -> None:
        super().__init__(
            f"{model}: its vectors are pooled by {how}, which is not computed here. Take one that pools by mean, cls "
            "or lasttoken."
        )
