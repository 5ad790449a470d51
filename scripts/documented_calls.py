"""Make every call that the documents of the three APIs print, as they print it, and follow what it begins to its end.

    python scripts/documented_calls.py http://127.0.0.1:8000 [--model NAME] [--key KEY]

Run it in the server's working folder: the data that the calls name is written there where it is missing. Only host,
port, the ids of earlier answers and the absolute folders of the documents, which lie below the working folder then, are
put in place of the printed ones. With ``--model`` another language model than the printed ones is trained, and calls
that train models of pictures and recordings are left out. The exit status is 1 if any answer is not as documented.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.documented_call import Call, get, post
from scripts.documented_media import CATEGORIES, PICTURES, PLACES, write_media

PATIENCE: Final = 1800.0
"""Seconds within which a job is over."""
POLL: Final = 0.5
ADDRESS: Final = re.compile(r"http://localhost:\d+")
ROWS: Final = 24
"""Rows of each data file: enough for a validation split."""


LANGTEXT: Final = "data/llm_training/LangText/langtext_data.jsonl"
INSTRUCTIONS: Final = "data/instructions.jsonl"
CONVERSATIONS: Final = "data/conversations.jsonl"

TRAIN: Final = """curl -X POST "http://localhost:8000/train" \\
  -H "Content-Type: application/json" \\
  -d '{
    "category": "LangText",
    "model_name": "microsoft/DialoGPT-medium",
    "dataset_path": "data/llm_training/LangText/langtext_data.jsonl",
    "output_dir": "saved_models/LangText",
    "gpu": true,
    "epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.00002
  }'"""
LORA_7B: Final = {
    "lora_r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.05,
    "batch_size": 4,
    "gradient_accumulation_steps": 4,
    "learning_rate": 2e-4,
    "epochs": 3,
}
LORA_13B: Final = {
    "lora_r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.05,
    "batch_size": 2,
    "gradient_accumulation_steps": 8,
    "learning_rate": 1e-4,
    "epochs": 3,
}
QLORA: Final = {
    "use_4bit": True,
    "bnb_4bit_compute_dtype": "float16",
    "bnb_4bit_quant_type": "nf4",
    "use_nested_quant": False,
}
EXPORT: Final = 'curl -X GET "http://localhost:8000/api/llm-finetuning/export/{task_id}"'
MERGE: Final = """curl -X POST "http://localhost:8000/api/llm-finetuning/merge" \\
  -H "Content-Type: application/json" \\
  -d '{"task_id": "...", "output_path": "/models/merged"}'"""
MERGED: Final = "/models/merged"
"""The folder that the document merges into."""
START: Final = """curl -X POST http://localhost:8300/api/v1/training/start \\
  -H "Content-Type: application/json" \\
  -d '{
    "org_id": "org_123",
    "base_model": "meta-llama/Llama-2-7b-chat-hf",
    "conversations": [
      {
        "messages": [
          {"role": "user", "content": "Hello!"},
          {"role": "assistant", "content": "Hey! How are you?"}
        ],
        "platform": "discord"
      }
    ]
  }'"""
GENERATE: Final = """curl -X POST "http://localhost:8300/api/v1/generate?org_id=org_123" \\
  -H "Content-Type: application/json" \\
  -d '{
    "message": "Tell me a joke",
    "temperature": 0.8,
    "max_tokens": 100
  }'"""

TASK: Final = ("task_id", "status", "progress", "current_epoch", "total_epochs", "current_step", "total_steps", "loss")
FINE_TUNING: Final = "/api/llm-finetuning"
CALLS: Final = (
    Call("000", "submit", TRAIN, says=("job_id",), remembers={"{job_id}": "job_id"}),
    Call("000", "list", "curl http://localhost:8000/jobs"),
    Call("000", "watch", "curl http://localhost:8000/jobs/{job_id}", says=("job_id", "status", "progress", "logs"),
         until="completed"),
    *CATEGORIES,
    Call("000", "documentation", get("/docs")),
    *PICTURES,
    Call("002", "LoRA, 7B", post(f"{FINE_TUNING}/lora/start", {
        "base_model": "llama-2-7b", "dataset_path": INSTRUCTIONS, "output_dir": "outputs/lora-7b", **LORA_7B}),
        says=("task_id",), remembers={"{task_id}": "task_id", '"task_id": "..."': "task_id"}),
    Call("002", "watch", get(FINE_TUNING + "/status/{task_id}"), says=TASK, until="completed"),
    Call("002", "LoRA, 13B", post(f"{FINE_TUNING}/lora/start", {
        "base_model": "llama-2-13b", "dataset_path": CONVERSATIONS, "output_dir": "outputs/lora-13b", **LORA_13B}),
        says=("task_id",), remembers={"{stopped}": "task_id"}),
    Call("002", "stop", 'curl -X POST "http://localhost:8000/api/llm-finetuning/stop/{stopped}"'),
    Call("002", "stopped", get(FINE_TUNING + "/status/{stopped}"), says=TASK, until="cancelled"),
    Call("002", "QLoRA", post(f"{FINE_TUNING}/qlora/start", {
        "base_model": "llama-2-7b", "dataset_path": INSTRUCTIONS, "output_dir": "outputs/qlora", "epochs": 1, **QLORA}),
        says=("task_id",), remembers={"{qlora}": "task_id"}),
    Call("002", "watch", get(FINE_TUNING + "/status/{qlora}"), says=TASK, until="completed"),
    Call("002", "tasks", get(FINE_TUNING + "/tasks")),
    Call("002", "models", get(FINE_TUNING + "/models")),
    Call("002", "adapters", get(FINE_TUNING + "/adapters")),
    Call("002", "export", EXPORT),
    Call("002", "merge", MERGE, says=("success", "path")),
    Call("002", "test", post(FINE_TUNING + "/test", {"task_id": "...", "prompt": "Hello", "max_tokens": 20}),
         says=("success", "response")),
    Call("002", "training tasks", get("/api/training/tasks")),
    Call("002", "training history", get("/api/training/history")),
    Call("002", "system status", get("/api/system/status"),
         says=("status", "gpu_available", "cpu_percent", "memory_percent", "active_tasks", "loaded_models")),
    Call("002", "system health", get("/api/system/health"), says=("status",)),
    Call("002", "system tasks", get("/api/system/tasks")),
    Call("002", "clear models", 'curl -X POST "http://localhost:8000/api/system/clear-models"', says=("success",)),
    Call("003", "start", START, says=("training_id", "org_id", "status", "progress"),
         remembers={"train_abc123": "training_id", "{training_id}": "training_id"}),
    Call("003", "watch", "curl http://localhost:8300/api/v1/training/status/train_abc123",
         says=("training_id", "org_id", "status", "progress"), until="completed"),
    Call("003", "start another", START, says=("training_id",), remembers={"{cancelled}": "training_id"}),
    Call("003", "cancel", 'curl -X DELETE "http://localhost:8300/api/v1/training/jobs/{cancelled}"'),
    Call("003", "cancelled", get("/api/v1/training/status/{cancelled}"), until="cancelled"),
    Call("003", "jobs", get("/api/v1/training/jobs/org_123"), says=("jobs",)),
    Call("003", "models", get("/api/v1/models/org_123/list"), says=("org_id", "models", "count")),
    Call("003", "health", get("/api/v1/health"), says=("status", "cuda_available", "cuda_device_count")),
    Call("003", "evaluate", post("/api/v1/training/evaluate", {
        "org_id": "org_123", "test_prompts": [{"instruction": "Hello!", "expected_response": "Hey! How are you?"}]}),
        says=("model_path", "metrics")),
    Call("003", "generate", GENERATE, says=("response", "model_info")),
    Call("003", "load", 'curl -X POST "http://localhost:8300/api/v1/models/load?org_id=org_123"', says=("status",)),
    Call("003", "info", get("/api/v1/models/org_123/info"), says=("org_id", "model_path", "metadata", "loaded")),
    Call("003", "unload", 'curl -X POST "http://localhost:8300/api/v1/models/unload?org_id=org_123"', says=("status",)),
)  # fmt: skip
"""Every call, in the order in which a reader makes them."""
MODELS: Final = ("microsoft/DialoGPT-medium", "meta-llama/Llama-2-7b-chat-hf", "llama-2-7b", "llama-2-13b")
"""The models that the calls name."""
MEDIA: Final = (*CATEGORIES, *PICTURES)
"""Calls that train models of pictures and recordings."""
OVER: Final = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True)
class Outcome:
    """What came of a call."""

    call: Call
    status: int
    answer: Any
    fault: str | None
    """What is not as documented."""


class Caller:
    """Makes calls on one server, and remembers what they answered."""

    def __init__(self, url: str, *, model: str | None = None, key: str | None = None, folder: Path = Path()) -> None:
        self._url, self._model, self._key, self._folder = url.rstrip("/"), model, key, folder
        self._known: dict[str, str] = {}

    def all(self, calls: Sequence[Call] = CALLS) -> Iterator[Outcome]:
        """Make every one of the calls, and say what came of each."""
        write_data(self._folder)
        for call in calls:
            if self._model is None or call not in MEDIA:
                yield self.make(call)

    def make(self, call: Call) -> Outcome:
        """Make a call; one that watches a job is made until the job is over."""
        end = time.monotonic() + PATIENCE
        while True:
            status, answer = self._once(self.text(call))
            outcome = Outcome(call, status, answer, _fault(call, status, answer))
            watched = call.until is not None and outcome.fault is None and _word(answer) not in OVER
            if not watched or time.monotonic() > end:
                break
            time.sleep(POLL)
        for placeholder, name in call.remembers.items():
            if isinstance(answer, dict) and name in answer:
                value = str(answer[name])
                self._known[placeholder] = f'"task_id": "{value}"' if placeholder.startswith('"') else value
        if call.until is not None and outcome.fault is None and _word(answer) != call.until:
            return Outcome(call, status, answer, f"ended as {_word(answer)}, not as {call.until}")
        return outcome

    def text(self, call: Call) -> str:
        """Return what is typed: the printed text with our address, ids and model."""
        text = ADDRESS.sub(self._url, call.printed)
        for printed in MODELS if self._model else ():
            text = text.replace(f'"{printed}"', json.dumps(self._model))
        for placeholder, value in self._known.items():
            text = text.replace(placeholder, value)
        for place in (MERGED, *PLACES):
            text = text.replace(f'"{place}"', json.dumps(f"{self._folder.resolve()}{place}"))
        return text

    def _once(self, text: str) -> tuple[int, Any]:
        return self._curl(text) if text.startswith("curl") else self._python(text)

    def _curl(self, text: str) -> tuple[int, Any]:
        with tempfile.NamedTemporaryFile() as body:
            more = ["-sS", "-o", body.name, "-w", "%{http_code}"]
            more += ["-H", f"Authorization: Bearer {self._key}"] if self._key else []
            said = subprocess.run(
                ["bash", "-c", f'{text.rstrip()} "$@"', "bash", *more], capture_output=True, text=True, check=False,
                cwd=self._folder,
            )  # fmt: skip
            if said.returncode:
                return 0, said.stderr.strip()
            content = Path(body.name).read_text(encoding="utf-8", errors="replace")
        return int(said.stdout), _parsed(content)

    def _python(self, text: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        program = (
            f"import functools, json, requests\nrequests.post = functools.partial(requests.post, headers={headers})\n"
        )
        # A refusal has none of the fields that the printed code goes on with.
        program += "try:\n" + "".join(f"    {line}\n" for line in text.splitlines())
        program += "except KeyError:\n    pass\nprint(json.dumps([response.status_code, response.json()]))\n"
        said = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=self._folder
        )
        if said.returncode:
            return 0, said.stderr.strip()
        status, answer = json.loads(said.stdout)
        return int(status), answer


def write_data(folder: Path) -> None:
    """Write the data that the calls name, where it is missing, with rows as the documents print them."""
    instructions = [{"instruction": f"Translate to French: Hello {i}", "response": f"Bonjour {i}"} for i in range(ROWS)]
    turns = [(f"What is {i} plus 1?", str(i + 1)) for i in range(ROWS)]
    write_media(folder)
    conversations = [
        {"conversations": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in turns
    ]
    for name, rows in ((LANGTEXT, instructions), (INSTRUCTIONS, instructions), (CONVERSATIONS, conversations)):
        path = folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _fault(call: Call, status: int, answer: Any) -> str | None:
    # 201 and 202 are as good an answer to a call that begins something.
    if status != call.status and not (call.status == 200 and status in (201, 202)):
        return f"answered {status} instead of {call.status}: {str(answer)[:500]}"
    missing = [name for name in call.says if not isinstance(answer, dict) or name not in answer]
    return f"the answer lacks {', '.join(missing)}: {str(answer)[:500]}" if missing else None


def _word(answer: Any) -> str:
    return str(answer.get("status", "")) if isinstance(answer, dict) else ""


def _parsed(content: str) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content


def main(arguments: list[str]) -> int:
    """Make all calls and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("url", help="address of a server that runs, such as http://127.0.0.1:8000")
    parser.add_argument("--model", help="train this one instead of the printed models")
    parser.add_argument("--key", help="key of an administrator, where keys are in force")
    typed = parser.parse_args(arguments)
    faults = 0
    if typed.model:
        print(f"Left out: {len(MEDIA)} calls that train models of pictures and recordings, as --model names another.")
    for outcome in Caller(typed.url, model=typed.model, key=typed.key).all():
        call = outcome.call
        faults += outcome.fault is not None
        print(f"{call.document}  {call.does:<40} {outcome.status:>3}  {outcome.fault or 'as documented'}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
