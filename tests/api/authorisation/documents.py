"""The routes of the documented APIs: /train, /api/training, /api/llm-finetuning, /api/system, /api/v1."""

from __future__ import annotations

from api.authorisation.rows import CHANGE_OURS, DATASET, FILE, LOOK, LOOK_AT_OURS, OPEN, Least, Row

LLM = {"base_model": "someone/some-model", "dataset_path": "rows.jsonl"}
TASK = {"model_type": "image_classifier", "base_model": "someone/some-model", "dataset_path": "rows.jsonl"}
TURNS = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hey!"}]

ROWS = {
    "POST /train": Row(Least.MEMBER, json={"category": "LangText", "dataset_path": "rows.jsonl"}),
    "GET /jobs": LOOK,
    "GET /jobs/{job_id}": LOOK_AT_OURS,
    "POST /api/training/start": Row(Least.MEMBER, json=TASK),
    "POST /api/training/image-classifier": Row(Least.MEMBER, files=DATASET),
    "POST /api/training/object-detection": Row(Least.MEMBER, files=DATASET),
    "GET /api/training/status/{task_id}": LOOK_AT_OURS,
    "POST /api/training/stop/{task_id}": CHANGE_OURS,
    "GET /api/training/tasks": LOOK,
    "GET /api/training/history": LOOK,
    "GET /api/training/models": LOOK,
    "GET /api/training/datasets": LOOK,
    "POST /api/training/datasets/upload": Row(Least.MEMBER, files=FILE, data={"name": "rows", "type": "text"}),
    "DELETE /api/training/datasets/{dataset_id}": CHANGE_OURS,
    "GET /api/training/download/{task_id}": LOOK_AT_OURS,
    "GET /api/training/checkpoints/{task_id}": LOOK_AT_OURS,
    "POST /api/llm-finetuning/lora/start": Row(Least.MEMBER, json=LLM),
    "POST /api/llm-finetuning/qlora/start": Row(Least.MEMBER, json=LLM),
    "POST /api/llm-finetuning/lora": Row(Least.MEMBER, files=DATASET, data={"base_model": "someone/some-model"}),
    "POST /api/llm-finetuning/qlora": Row(Least.MEMBER, files=DATASET, data={"base_model": "someone/some-model"}),
    "GET /api/llm-finetuning/status/{task_id}": LOOK_AT_OURS,
    "POST /api/llm-finetuning/stop/{task_id}": CHANGE_OURS,
    "GET /api/llm-finetuning/tasks": LOOK,
    "GET /api/llm-finetuning/models": LOOK,
    "POST /api/llm-finetuning/data/upload": Row(Least.MEMBER, files=FILE),
    "GET /api/llm-finetuning/adapters": LOOK,
    "POST /api/llm-finetuning/test": Row(Least.VIEWER, json={"task_id": "{task_id}", "prompt": "Hello"}, stranger=404),
    "POST /api/llm-finetuning/merge": Row(
        Least.MEMBER, json={"task_id": "{task_id}", "output_path": "merged"}, stranger=404
    ),
    "POST /api/llm-finetuning/merge/{task_id}": CHANGE_OURS,
    # Whoever fetches an adapter has it compared with what was trained first, which is work.
    "GET /api/llm-finetuning/export/{task_id}": CHANGE_OURS,
    "GET /api/system/status": LOOK,
    "GET /api/system/health": OPEN,
    "GET /api/system/tasks": LOOK,
    "GET /api/system/tasks/{task_id}": LOOK_AT_OURS,
    "DELETE /api/system/tasks/{task_id}": CHANGE_OURS,
    "POST /api/system/clear-models": Row(Least.MEMBER),
    "POST /api/v1/generate": Row(Least.VIEWER, json={"message": "Hello"}),
    "POST /api/v1/models/load": Row(Least.MEMBER),
    "POST /api/v1/models/unload": Row(Least.MEMBER),
    "GET /api/v1/models/{org_id}/info": Row(Least.VIEWER, stranger=403),
    "GET /api/v1/models/{org_id}/list": Row(Least.VIEWER, stranger=403),
    "GET /api/v1/health": OPEN,
    "POST /api/v1/training/start": Row(Least.MEMBER, json={"conversations": [{"messages": TURNS}]}),
    "GET /api/v1/training/status/{training_id}": LOOK_AT_OURS,
    "GET /api/v1/training/jobs/{org_id}": Row(Least.VIEWER, stranger=403),
    "DELETE /api/v1/training/jobs/{training_id}": CHANGE_OURS,
    "POST /api/v1/training/evaluate": Row(Least.MEMBER, json={}),
}
