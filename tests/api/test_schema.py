"""Whatever a request holds, the answer is one that the API's description promises, and never a fault of the server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import negative_data_rejection, response_schema_conformance

from tunesmith.api.app import create_app
from tunesmith.service.context import open_service
from tunesmith.settings import Settings

ENDLESS: Final = r"^/api/events$|/stream$"
"""Paths whose answers do not end."""
NOT_YET: Final = 501
CHECKS: Final = [not_a_server_error, response_schema_conformance, negative_data_rejection]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The description of a server of its own, which is the same for all examples."""
    folder = tmp_path_factory.mktemp("schema")
    service = open_service(Settings(home=folder / "home", rate_limit=0, offline=True))
    yield schemathesis.openapi.from_asgi("/openapi.json", create_app(service), headers={"Host": "localhost"})
    service.close()


schema = schemathesis.pytest.from_fixture("api")
quick = settings(
    max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@schema.exclude(path_regex=ENDLESS).parametrize()
@quick
def test_every_answer_is_as_described(case: Any) -> None:
    _check(case)


@pytest.mark.chaos
@schema.exclude(path_regex=ENDLESS).parametrize()
@settings(quick, max_examples=100, derandomize=False)
def test_every_answer_is_as_described_a_hundred_times(case: Any) -> None:
    _check(case)


def _check(case: Any) -> None:
    answer = case.call(headers={"Host": "localhost"})
    if answer.status_code != NOT_YET:
        case.validate_response(answer, checks=CHECKS)
