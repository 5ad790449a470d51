"""Whatever a request holds, the answer is one that the API's description promises, and never a fault of the server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection, response_schema_conformance

from tunesmith.api.app import create_app
from tunesmith.service.context import open_service
from tunesmith.settings import Settings

ENDLESS: Final = re.compile(r"/api/events$|.*/stream$")
"""Paths whose answers do not end."""
AREAS: Final = (
    "/v1/fine_tuning", "/v1/", "/api/v1/", "/api/training", "/api/llm-finetuning", "/api/system", "/api/uploads",
    "/api/datasets", "/api/jobs", "/api/orgs", "/api/keys", "/api/", "/",
)  # fmt: skip
"""Beginnings of paths; each operation belongs to the first that fits."""
CHECKS: Final = [not_a_server_error, response_schema_conformance]
REFUSED: Final = [negative_data_rejection]


@pytest.fixture
def api(home: Any) -> Iterator[Any]:
    """The description of a server."""
    service = open_service(Settings(home=home, rate_limit=0, offline=True))
    yield schemathesis.openapi.from_asgi("/openapi.json", create_app(service), headers={"Host": "localhost"})
    service.close()


@pytest.mark.parametrize("area", AREAS)
def test_every_answer_is_as_described(api: Any, area: str) -> None:
    _check_all(api, area, examples=4)


@pytest.mark.chaos
@pytest.mark.parametrize("area", AREAS)
def test_every_answer_is_as_described_a_hundred_times(api: Any, area: str) -> None:
    _check_all(api, area, examples=100)


def _check_all(api: Any, area: str, examples: int) -> None:
    """Send as many right and wrong requests to each operation, and collect what is wrong with their answers."""
    wrong = []
    operations = [found.ok() for found in api.get_all_operations()]
    chosen = [each for each in operations if next(area for area in AREAS if each.path.startswith(area)) == area]
    assert chosen, area
    for operation in chosen:
        if ENDLESS.match(operation.path):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                _check(operation, mode, examples)
            except Unsatisfiable:
                pass  # Nothing can be wrong about an operation that takes nothing.
            except (Exception, FailureGroup) as fault:  # noqa: BLE001 - all that is found is told at once.
                wrong.append(f"{operation.label} ({mode.value}): {fault}")
    assert not wrong, f"{len(wrong)}\n" + "\n\n".join(wrong)


def _check(operation: Any, mode: GenerationMode, examples: int) -> None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def checking(case: Any) -> None:
        answer = case.call(headers={"Host": "localhost"})
        case.validate_response(answer, checks=CHECKS + REFUSED * _has_wrong_body(case))

    checking()


def _has_wrong_body(case: Any) -> bool:
    """Whether the body is one that is to be refused; a wrong word in a query may be a right one that is unknown.

    A form has no types: whatever stands in a part of it is a file's content, and right.
    """
    if case.media_type != "application/json":
        return False
    body = case.meta.components.get(ParameterLocation.BODY) if case.meta else None
    return body is not None and body.mode is GenerationMode.NEGATIVE
