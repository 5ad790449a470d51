"""Folders that look like models and adapters, for processes that only say who they are (``scripted_server``)."""

from __future__ import annotations

import json
from pathlib import Path


def safetensors(vectors: dict[str, bytes]) -> bytes:
    """Write a safetensors file of F32 vectors."""
    header, data = {}, b""
    for name, content in vectors.items():
        places = [len(data), len(data) + len(content)]
        header[name] = {"dtype": "F32", "shape": [len(content) // 4], "data_offsets": places}
        data += content
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data


def make_base(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(safetensors({"a": bytes(8)}))
    return folder


def make_adapter(folder: Path, base: Path, *, trained: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, "base_model_name_or_path": str(base)}))
    vectors = {"a.lora_A.weight": b"\1" * 16, "a.lora_B.weight": b"\0\0\1\0" * 4 if trained else bytes(16)}
    (folder / "adapter_model.safetensors").write_bytes(safetensors(vectors))
    return folder
