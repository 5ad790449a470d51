"""What tasks of `/api/llm-finetuning` made: adapters, to be merged and exported."""

from __future__ import annotations

from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path
from fastapi.responses import FileResponse
from pydantic import ConfigDict, Field

from tunesmith.api.deps import Asker, Broadcasting, Serving
from tunesmith.api.doors.tasks_answers import Envelope
from tunesmith.api.waiting import until_over
from tunesmith.service.accounts.principal import Principal
from tunesmith.service.context import Service
from tunesmith.service.jobs import queue
from tunesmith.service.jobs.work import WorkSubmission, exported_folder, submit_work
from tunesmith.service.models.adapters import adapters as made_adapters
from tunesmith.spec.recipe import Part
from tunesmith.spec.work import Export, ExportSpec
from tunesmith.store.jobs import Job

router = APIRouter(prefix="/api/llm-finetuning", tags=["llm-finetuning"])
DOOR: Final = "llm"
TaskId = Annotated[str, Path(max_length=128)]


class AdapterRow(Part):
    """An adapter that a task made."""

    path: str
    name: str
    task_id: str | None
    config: dict[str, Any]
    """adapter_config.json."""


class MergeRequest(Part):
    """An adapter to be merged into its base."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"task_id": "9f3a5c01b2d4", "output_path": "/models/merged"}]}
    )

    task_id: str = Field(max_length=128)
    output_path: str = Field(min_length=1, max_length=4096)
    """New or empty folder for the whole model."""


class Merged(Envelope):
    """A whole model that is written."""

    path: str
    """Folder of the model."""
    merged_model_path: str
    """The same."""
    job_id: str
    """The job that wrote it: `/api/jobs/ID` tells more, such as how its answers compare with the adapter's."""


@router.get("/adapters")
def adapters(service: Serving, by: Asker) -> list[AdapterRow]:
    """List the adapters that tasks made, the newest first."""
    return [
        AdapterRow(path=each.path, name=each.name, task_id=each.job, config=each.config)
        for each in made_adapters(service, by)
    ]


@router.post("/merge")
async def merge(request: MergeRequest, service: Serving, by: Asker, broadcast: Broadcasting) -> Merged:
    """Merge an adapter into its base, and answer when the whole model is written and compared with the adapter.

    It is a job: it goes on where the client leaves, and the same call again answers with what it wrote.
    """
    job = await _submitted(service, by, request.task_id, Export.MERGED, output=request.output_path)
    return _merged(await until_over(service, broadcast, job, by))


@router.post("/merge/{task_id}")
async def merge_task(task_id: TaskId, service: Serving, by: Asker, broadcast: Broadcasting) -> Merged:
    """Merge an adapter into its base, in the place that the server chooses; else as `/merge`."""
    job = await _submitted(service, by, task_id, Export.MERGED)
    return _merged(await until_over(service, broadcast, job, by))


@router.get(
    "/export/{task_id}",
    response_class=FileResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def export(task_id: TaskId, service: Serving, by: Asker, broadcast: Broadcasting) -> FileResponse:
    """Fetch an adapter as a ZIP file, compared with what was trained; it is made once."""
    job = await _submitted(service, by, task_id, Export.ADAPTER)
    folder = exported_folder(await until_over(service, broadcast, job, by))
    archive = next(folder.glob("*.zip"))
    return FileResponse(archive, media_type="application/zip", filename=f"{task_id}.zip")


async def _submitted(service: Service, by: Principal, task: str, what: Export, output: str | None = None) -> Job:
    """Queue an export of what a task made; one that is there already is not made again."""

    def submit() -> Job:
        source = queue.get(service, task, by)
        zipped = what is Export.ADAPTER
        work = ExportSpec(source=source.id, what=what, output=output, zip=zipped)
        place = f"{source.id}-{what}"
        return submit_work(
            service, WorkSubmission(work, door=DOOR, org=source.org, name=place, place=place, once=True), by
        )

    return await run_sync(submit)


def _merged(job: Job) -> Merged:
    path = str(exported_folder(job))
    return Merged(message="The model is written.", path=path, merged_model_path=path, job_id=job.id)
