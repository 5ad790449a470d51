from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from fleet import until
from tunesmith.api import app as module
from tunesmith.service.context import Service
from tunesmith.store import idempotency as kept


def test_a_server_removes_what_nobody_needs_again_and_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def there() -> bool:
        with service.database.read() as connection:
            return kept.get(connection, "", "one-key") is not None

    monkeypatch.setattr(module, "SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(module, "TIDY_SECONDS", 0.01)
    with TestClient(module.create_app(service)):
        for _ in range(2):
            with service.database.write() as connection:
                kept.begin(connection, "", "one-key", "request", 1.0)
            until(lambda: not there(), "it is forgotten")
