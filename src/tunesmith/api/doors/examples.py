"""Answers as they look, for the pages of /docs."""

from __future__ import annotations

from typing import Final

from pydantic.config import JsonDict

_NUMBERS: Final[JsonDict] = {"loss": 1.8423, "validation_loss": 1.9107, "learning_rate": 0.000174}
_TIMES: Final[JsonDict] = {"created_at": "2026-11-21T14:15:03.120Z", "error": None, "reason": None}
_ROW: Final[JsonDict] = {
    "job_id": "9f3a5c01b2d4",
    "status": "running",
    "progress": 42.5,
    "category": "LangText",
    "model_type": "text",
    "model_name": "microsoft/DialoGPT-medium",
    "dataset_path": "data/llm_training/LangText/langtext_data.jsonl",
    "output_dir": "saved_models/LangText",
    "run_name": None,
    "start_time": "2026-11-21T14:15:04.870Z",
    "end_time": None,
    **_TIMES,
}
SUBMITTED: Final[JsonDict] = {
    **{name: _ROW[name] for name in ("job_id", "category", "model_type", "model_name", "dataset_path", "output_dir")},
    "status": "pending",
    "message": "The job is queued. Follow it at /jobs/9f3a5c01b2d4",
}
JOB_ROW: Final[JsonDict] = _ROW
JOB: Final[JsonDict] = {
    **_ROW,
    **_NUMBERS,
    "epoch": 1.28,
    "epochs": 3.0,
    "step": 51,
    "total_steps": 120,
    "method": "full",
    "decisions": ["recipe.method is full: the default of this way in."],
    "warnings": [],
    "logs": ["2026-11-21T14:16:40.512Z Step 51: loss 1.8423, learning rate 0.000174, 812 tokens/s."],
}
STARTED: Final[JsonDict] = {
    "success": True,
    "message": "The task is queued. Follow it at /api/llm-finetuning/status/9f3a5c01b2d4",
    "error": None,
    "task_id": "9f3a5c01b2d4",
    "status": "pending",
}
TASK_ROW: Final[JsonDict] = {
    "task_id": "9f3a5c01b2d4",
    "name": "llama-2-7b-train",
    "status": "running",
    "progress": 42.5,
    "model_type": "llm",
    "base_model": "llama-2-7b",
    "dataset_path": "data/train.jsonl",
    "output_dir": "saved_models/llm/9f3a5c01b2d4",
    "current_epoch": 1.28,
    "total_epochs": 3.0,
    "current_step": 51,
    "total_steps": 120,
    "metrics": {"perplexity": 6.76},
    "started_at": "2026-11-21T14:15:04.870Z",
    "completed_at": None,
    **_NUMBERS,
    **_TIMES,
}
TASK: Final[JsonDict] = {
    **TASK_ROW,
    "success": True,
    "message": "",
    "method": "lora",
    "decisions": ["recipe.adapter.rank is 8: the default of this way in."],
    "warnings": [],
}
