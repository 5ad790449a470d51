"""A small server with vLLM's documented interface: ``python scripted_vllm.py serve MODEL --host ... --port ...``.

It answers with the name of the adapter that was asked and tells what it was sent in ``system_fingerprint``. A folder of
an adapter with ``refused`` is not loaded; one with ``dead`` answers as the base does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ADAPTERS: dict[str, str] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send(200 if self.path == "/health" else 404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {os.environ['VLLM_API_KEY']}":
            self.send(401, {"error": "Unauthorized"})
        elif self.path == "/v1/load_lora_adapter":
            self.load(body)
        elif self.path == "/v1/unload_lora_adapter":
            ADAPTERS.pop(body["lora_name"])
            self.say("Success: LoRA adapter removed.")
        elif body["model"] != "base" and body["model"] not in ADAPTERS:
            self.send(404, {"error": {"message": "The model does not exist.", "type": "NotFoundError", "code": 404}})
        else:
            self.answer(body)

    def load(self, body: dict[str, Any]) -> None:
        if (Path(body["lora_path"]) / "refused").exists():
            message = "LoRA rank 512 is greater than max_lora_rank 64."
            self.send(400, {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}})
            return
        ADAPTERS[body["lora_name"]] = body["lora_path"]
        self.say(f"Success: LoRA adapter '{body['lora_name']}' added successfully.")

    def answer(self, body: dict[str, Any]) -> None:
        folder = Path(ADAPTERS.get(body["model"], "base"))
        who = "base" if (folder / "dead").exists() else folder.name
        head = {
            "id": "x",
            "model": body["model"],
            "system_fingerprint": json.dumps({**body, "arguments": sys.argv[1:]}),
        }
        if self.path == "/v1/completions":
            choice: dict[str, Any] = {"index": 0, "text": who, "logprobs": {"top_logprobs": [{who: -0.1}]}}
            self.send(200, {**head, "object": "text_completion", "choices": [choice]})
        elif not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": who}, "finish_reason": "stop"}
            self.send(200, {**head, "object": "chat.completion", "choices": [choice]})
        else:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for letter in who:
                chunk = {**head, "choices": [{"index": 0, "delta": {"content": letter}}]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

    def say(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def send(self, status: int, content: dict[str, Any]) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


if __name__ == "__main__":
    arguments = dict(zip(sys.argv[1:], sys.argv[2:], strict=False))
    if (Path(arguments["serve"]) / "broken").exists():
        sys.exit("ValueError: this model is not supported")
    threading.Timer(120, os._exit, (1,)).start()
    ThreadingHTTPServer((arguments["--host"], int(arguments["--port"])), Handler).serve_forever()
