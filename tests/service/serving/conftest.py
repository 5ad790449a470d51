"""Pools whose processes say who they are (``tests/scripted_server.py``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bare_models import make_base
from scripted_server import WORKER
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.serving.pool import ServingPool
from tunesmith.settings import Settings

Pools = Callable[..., ServingPool]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_base(tmp_path / "one")


@pytest.fixture
def pools(tmp_path: Path) -> Iterator[Pools]:
    """Make pools of one machine."""
    made: list[ServingPool] = []

    def make(**given: Any) -> ServingPool:
        settings = Settings(home=tmp_path / "home", **given)
        made.append(ServingPool(settings, device="cpu", precision="fp32", executor=LocalExecutor(WORKER)))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


@pytest.fixture
def pool(pools: Pools) -> ServingPool:
    return pools()
