"""Our own routes."""

from __future__ import annotations

from api.authorisation.rows import CHANGE_OURS, FILE, LOOK, LOOK_AT_OURS, OPEN, Least, Row

SPEC = {"model": {"source": "someone/some-model"}, "datasets": [{"uri": "someone/some-rows"}]}
TUS = {"Tus-Resumable": "1.0.0"}

ROWS = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /metrics": Row(Least.OPERATOR, stranger=403),
    "GET /api/machines": LOOK,
    "GET /api/events": Row(Least.VIEWER, streams=True),
    "POST /api/plans": Row(Least.MEMBER, json={"spec": SPEC}),
    # Jobs and runs
    "POST /api/jobs": Row(Least.MEMBER, json={"spec": SPEC}),
    "GET /api/jobs": LOOK,
    "GET /api/jobs/{job_id}": LOOK_AT_OURS,
    "GET /api/jobs/{job_id}/result": LOOK_AT_OURS,
    "GET /api/jobs/{job_id}/events": LOOK_AT_OURS,
    "GET /api/jobs/{job_id}/stream": Row(Least.VIEWER, stranger=404, streams=True),
    "POST /api/jobs/{job_id}/pause": CHANGE_OURS,
    "POST /api/jobs/{job_id}/resume": CHANGE_OURS,
    "POST /api/jobs/{job_id}/cancel": CHANGE_OURS,
    "DELETE /api/jobs/{job_id}": CHANGE_OURS,
    "GET /api/runs": LOOK,
    "GET /api/runs/{run_id}": LOOK_AT_OURS,
    "GET /api/runs/{run_id}/checkpoints": LOOK_AT_OURS,
    "GET /api/runs/{run_id}/logs": LOOK_AT_OURS,
    "GET /api/runs/{run_id}/logs/stream": Row(Least.VIEWER, stranger=404, streams=True),
    # Organisations and keys
    "GET /api/orgs": LOOK,
    "POST /api/orgs": Row(Least.OPERATOR, json={"id": "another"}, stranger=403),
    "GET /api/orgs/{org_id}": LOOK_AT_OURS,
    "PATCH /api/orgs/{org_id}": Row(Least.OPERATOR, json={"max_queued": 1}, stranger=403),
    "GET /api/orgs/{org_id}/members": LOOK_AT_OURS,
    "PUT /api/orgs/{org_id}/members/{name}": Row(Least.ADMIN, json={"role": "viewer"}, stranger=404),
    "DELETE /api/orgs/{org_id}/members/{name}": Row(Least.ADMIN, stranger=404),
    "POST /api/keys": Row(Least.ADMIN, json={"role": "viewer"}),
    "GET /api/keys": Row(Least.ADMIN),
    "DELETE /api/keys/{key_id}": Row(Least.ADMIN, stranger=404),
    # Data and models
    "POST /api/datasets": Row(Least.MEMBER, json={"name": "rows", "uri": "rows.jsonl"}),
    "GET /api/datasets": LOOK,
    "POST /api/datasets/upload": Row(Least.MEMBER, files=FILE),
    "GET /api/datasets/{dataset_id}": LOOK_AT_OURS,
    "DELETE /api/datasets/{dataset_id}": CHANGE_OURS,
    "POST /api/datasets/{dataset_id}/check": Row(Least.VIEWER, json={}, stranger=404),
    "POST /api/datasets/{dataset_id}/preview": Row(Least.VIEWER, json={}, stranger=404),
    "POST /api/predict": Row(Least.VIEWER, json={"model": "{model_id}", "content": "AAAA"}, stranger=404),
    "GET /api/models": LOOK,
    "GET /api/models/{model_id}": LOOK_AT_OURS,
    "DELETE /api/models/{model_id}": CHANGE_OURS,
    "OPTIONS /api/uploads": LOOK,
    "POST /api/uploads": Row(Least.MEMBER, headers={**TUS, "Upload-Length": "3"}),
    "OPTIONS /api/uploads/{upload_id}": LOOK,
    "GET /api/uploads/{upload_id}": LOOK_AT_OURS,
    "HEAD /api/uploads/{upload_id}": Row(Least.VIEWER, headers=TUS, stranger=404),
    "PATCH /api/uploads/{upload_id}": Row(
        Least.MEMBER,
        headers={**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"},
        stranger=404,
    ),
    "DELETE /api/uploads/{upload_id}": Row(Least.MEMBER, headers=TUS, stranger=404),
}
