"""The routes that OpenAI's clients call."""

from __future__ import annotations

from api.authorisation.rows import CHANGE_OURS, FILE, LOOK, LOOK_AT_OURS, Least, Row

ROWS = {
    "POST /v1/files": Row(Least.MEMBER, files=FILE, data={"purpose": "fine-tune"}),
    "GET /v1/files": LOOK,
    "GET /v1/files/{file_id}": LOOK_AT_OURS,
    "DELETE /v1/files/{file_id}": CHANGE_OURS,
    "GET /v1/files/{file_id}/content": LOOK_AT_OURS,
    "POST /v1/fine_tuning/jobs": Row(
        Least.MEMBER, json={"model": "someone/some-model", "training_file": "{file_id}"}, stranger=404
    ),
    "GET /v1/fine_tuning/jobs": LOOK,
    "GET /v1/fine_tuning/jobs/{fine_tuning_job_id}": LOOK_AT_OURS,
    "POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel": CHANGE_OURS,
    "POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause": CHANGE_OURS,
    "POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume": CHANGE_OURS,
    "GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events": LOOK_AT_OURS,
    "GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints": LOOK_AT_OURS,
    # A model of another organisation is not there for a stranger; ours lies nowhere, and whoever may is told so.
    "POST /v1/chat/completions": Row(
        Least.VIEWER, json={"model": "{model}", "messages": [{"role": "user", "content": "Hello"}]}, stranger=404
    ),
    "POST /v1/completions": Row(Least.VIEWER, json={"model": "{model}", "prompt": "Hello"}, stranger=404),
    "POST /v1/embeddings": Row(Least.VIEWER, json={"model": "{model}", "input": "Hello"}, stranger=404),
    "POST /v1/audio/transcriptions": Row(
        Least.VIEWER, files={"file": ("a.wav", b"RIFF")}, data={"model": "{model}"}, stranger=404
    ),
    "POST /v1/images/generations": Row(Least.VIEWER, json={"model": "{model}", "prompt": "a teapot"}, stranger=404),
    "GET /v1/models": LOOK,
    "GET /v1/models/{model}": LOOK_AT_OURS,
    "DELETE /v1/models/{model}": CHANGE_OURS,
}
