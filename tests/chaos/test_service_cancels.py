"""A hundred jobs are cancelled at random moments; real trainings are paused and resumed as if nothing had been.

``CHAOS_CANCELS`` and ``CHAOS_SEED`` change how many and when.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cancels import cancel_at_random
from integration.jobs import ADAPTER, tiny_job
from scripted_worker import WORKER
from shop import Shop
from tunesmith.executors.local import LocalExecutor
from tunesmith.service.accounts.principal import OPERATOR
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.supervisor.supervisor import Supervisor
from tunesmith.spec.states import RunState

CANCELS = int(os.environ.get("CHAOS_CANCELS", "100"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)

pytestmark = pytest.mark.chaos


@pytest.fixture
def shop(service: Service, tiny_model: Path, chat_file: Path, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(service, tiny_model, chat_file, tmp_path, Supervisor(service, LocalExecutor(worker=WORKER)))
    yield made
    made.supervisor.close()
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if any(str(service.settings.runs_dir) in word for word in process.info["cmdline"] or ()):
                process.kill()


def test_jobs_that_are_cancelled_at_any_moment_leave_nothing(shop: Shop) -> None:
    print(f"CHAOS_SEED={SEED}")
    caught = cancel_at_random(shop, CANCELS, random.Random(SEED))
    assert len(caught & {RunState.QUEUED, RunState.PREPARING, RunState.RUNNING}) > 1


def test_a_training_that_is_paused_and_resumed_gives_the_same_weights(shop: Shop) -> None:
    print(f"CHAOS_SEED={SEED}")
    moments = random.Random(SEED)
    shop.supervisor.close()
    shop.supervisor = Supervisor(shop.service, LocalExecutor())
    straight = submit(shop, "straight")
    shop.until_state(straight, RunState.SUCCEEDED)
    paused = submit(shop, "paused")
    for _ in range(3):
        after = (shop.job(paused).progress.get("step") or 0) + moments.randrange(1, 4)
        shop.turn_until(lambda after=after: (shop.job(paused).progress.get("step") or 0) >= after)
        if shop.job(paused).state is RunState.SUCCEEDED:
            break
        queue.pause(shop.service, paused.id, OPERATOR)
        shop.until_state(paused, RunState.PAUSED)
        queue.resume(shop.service, paused.id, OPERATOR)
    shop.until_state(paused, RunState.SUCCEEDED)
    assert len(queue.runs_of(shop.service, paused)) > 1
    assert weights(shop, "paused") == weights(shop, "straight")


def submit(shop: Shop, name: str) -> queue.Job:
    spec = tiny_job(shop.model, shop.data, shop.folder / name, name=name)
    return queue.submit(shop.service, queue.Submission(spec=spec, door="api"), OPERATOR)


def weights(shop: Shop, name: str) -> str:
    return hashlib.sha256((shop.folder / name / ADAPTER).read_bytes()).hexdigest()
