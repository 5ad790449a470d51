"""The model that a server is for, and what its routes are handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from tunesmith.api.model_server.modes import MODES
from tunesmith.spec.errors import NotFound

if TYPE_CHECKING:
    from tunesmith.api.model_server.page import Page
    from tunesmith.service.serving.pool import ServingPool
    from tunesmith.service.serving.standalone import Standalone
    from tunesmith.service.serving.targets import Target


@dataclass(frozen=True)
class ServedModel:
    """One model, where it is loaded, and how its server was started."""

    about: Standalone
    pool: ServingPool
    page: Page
    streams: bool = False
    """Whether `POST /generate` answers piece by piece where the request leaves it open."""

    @property
    def target(self) -> Target:
        """What answers."""
        return self.about.target

    def named(self, name: object) -> Target:
        """Return what OpenAI's field ``model`` means here.

        Raises:
            NotFound: another model is meant.
        """
        own = self.target.name
        if name in (own, own.rpartition("/")[2]):
            return self.target
        if name == "base" and self.target.adapter is not None:
            return self.about.untrained
        raise NotFound("model", str(name))

    @property
    def targets(self) -> list[Target]:
        """Everything that may be named."""
        return [self.target, self.about.untrained] if self.target.adapter is not None else [self.target]

    def is_loaded(self) -> bool:
        """Whether it answers at once."""
        adapter = None if self.target.adapter is None else str(self.target.adapter)
        return any((one.base, one.adapter) == (str(self.target.base), adapter) for one in self.pool.loaded())

    def described(self) -> dict[str, Any]:
        """Render `GET /info`."""
        about, adapter = self.about, self.target.adapter
        return {
            "model_id": self.target.name,
            "model_type": about.facts.model_type,
            "model_family": about.family,
            "model_path": str(self.target.base),
            "parameters": about.facts.parameters,
            "max_length": about.facts.max_length,
            "lora_loaded": adapter is not None,
            "lora_path": None if adapter is None else str(adapter),
            "device": about.device,
            "dtype": about.precision,
            "stream_mode": self.streams,
            "capabilities": {
                "chat": about.talks,
                "streaming": True,
                "uploads": ["text"],
                "supported_modes": list(MODES),
                "mode_descriptions": {name: mode.title for name, mode in MODES.items()},
            },
        }


def _model(connection: HTTPConnection) -> ServedModel:
    model: ServedModel = connection.app.state.model
    return model


Model = Annotated[ServedModel, Depends(_model)]
"""The model of this server."""
