"""The page of /docs, from files that lie beside this one: it works without any network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from tunesmith.api import errors

STATIC: Final = Path(__file__).with_name("static")

PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tunesmith</title>
<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/static/docs.js"></script>
</body>
</html>
"""
FILE: Final = "@rows.jsonl"
"""How an example writes a file, as curl does."""
EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "/v1/files": {"file": FILE, "purpose": "fine-tune"},
    "/api/datasets/upload": {"file": FILE, "name": "support-2026"},
    "/api/training/datasets/upload": {"file": FILE, "name": "support-2026", "type": "text"},
    "/api/training/image-classifier": {"dataset": "@images.zip", "base_model": "resnet50", "epochs": 10},
    "/api/training/object-detection": {"dataset": "@images.zip", "base_model": "rt-detr", "epochs": 10},
    "/api/llm-finetuning/lora": {"dataset": FILE, "base_model": "qwen-7b", "lora_r": 8, "epochs": 3},
    "/api/llm-finetuning/qlora": {"dataset": FILE, "base_model": "qwen-7b", "use_4bit": True, "epochs": 3},
    "/api/llm-finetuning/data/upload": {"file": FILE},
    "/api/predict": {"file": "@picture.png", "model": "shapes", "top_k": 3},
    "/v1/audio/transcriptions": {"file": "@recording.wav", "model": "whisper-tiny-en"},
    "/upload": {"file": "@notes.txt"},
}
"""Forms as they are filled in; a body of JSON has its example beside its route."""


def install(app: FastAPI) -> None:
    """Add the page and its files, and have errors described as each way in says them."""
    describe = app.openapi

    def _described() -> dict[str, Any]:
        if app.openapi_schema is None:
            for path, operations in describe()["paths"].items():
                for operation in operations.values():
                    # The framework takes the function's name, which is short only beside its module's.
                    operation["summary"] = re.split(r"[.;:](?: |$)", operation["description"])[0]
                    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                        if kind != "application/json":
                            content["example"] = EXAMPLES[path]
                    if "422" in operation["responses"]:
                        operation["responses"]["422"] = errors.described(path)
        return describe()

    app.openapi = _described  # type: ignore[method-assign]
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/docs", include_in_schema=False)
    def _page() -> HTMLResponse:
        return HTMLResponse(PAGE)
