"""A GGUF file in the hands of llama.cpp (xllamacpp), asked as its users ask: over the server's chat completions."""

from __future__ import annotations

import http.client
import json
import os
import socket
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from tunesmith.worker.export.opened import LIKELIEST, REPLY, Chances, Reply
from tunesmith.worker.export.replay import LONGEST, Replayed


def need_llama_cpp() -> None:
    """Find llama.cpp before anything is computed for it.

    Raises:
        ModuleNotFoundError: its package is not installed.
    """
    import xllamacpp  # type: ignore[import-untyped]  # noqa: F401


class LlamaCpp:
    """A GGUF file that llama.cpp has opened."""

    def __init__(self, file: Path) -> None:
        """Load the file; the server within listens on a Unix socket in a private folder."""
        import xllamacpp

        self.by = f"llama.cpp (xllamacpp {xllamacpp.__version__})"
        self._folder = tempfile.TemporaryDirectory(prefix="tunesmith-gguf-")
        self._socket = str(Path(self._folder.name) / "llama.sock")
        self._server: Any = xllamacpp.Server(_parameters(file, self._socket))
        self._letter = self._ask("/tokenize", {"content": "a"})["tokens"][-1]

    def prompt(self, row: Replayed) -> list[int]:
        """Render with the file's own template and tokenise with its own tokenizer, as a chat completion does."""
        text = row.text
        if row.messages is not None:
            tools = {} if row.tools is None else {"tools": row.tools}
            text = self._ask("/apply-template", {"messages": row.messages, **tools})["prompt"]
        made = self._ask("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return [int(token) for token in made["tokens"]]

    def chances(self, row: Replayed) -> list[Chances]:
        """Ask for one token at each place; what was read before stays in the server's cache.

        The token that is written is always the same letter: the server keeps the chances back where it is a part of a
        character or ends the answer. They are those before anything is asked of the choice.
        """
        only = {"logit_bias": [[self._letter, 1000.0]], "n_probs": LIKELIEST}
        found = []
        for place in row.places:
            answer = self._complete(list(row.row[: place + 1]), n_predict=1, **only)
            best = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
            tokens, logs = [each["id"] for each in best], [each["logprob"] for each in best]
            found.append(Chances(torch.tensor(tokens), torch.tensor(logs)))
        return found

    def replies(self, rows: Sequence[Replayed]) -> list[Reply]:
        """Answer each prompt by a chat completion."""
        found = []
        for row in rows:
            asked = {"messages": row.messages, "max_tokens": REPLY, "temperature": 0.0}
            answer = self._server.handle_chat_completions(asked if row.tools is None else {**asked, "tools": row.tools})
            said = answer["choices"][0]
            text = said["message"].get("content") or ""
            found.append(Reply(said["finish_reason"] != "length", text))
        return found

    def ends_at(self, tokens: Iterable[int]) -> bool:
        """Offer nothing but the token: generation ends at once where the file says that an answer ends with it."""
        return all(self._ends_at(token) for token in tokens)

    def close(self) -> None:
        """Free the model and the socket."""
        self._server = None
        self._folder.cleanup()

    def _ends_at(self, token: int) -> bool:
        only = {"logit_bias": [[token, 1000.0]], "samplers": ["top_k"], "top_k": 1}
        answer = self._complete([token], n_predict=2, **only)
        return bool(answer["choices"][0]["finish_reason"] == "stop")

    def _complete(self, prompt: list[int], **settings: Any) -> Any:
        asked = {"prompt": prompt, "temperature": 0.0, "cache_prompt": True, **settings}
        return self._server.handle_completions(asked)

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        connection = http.client.HTTPConnection("localhost")
        with closing(connection):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self._socket)
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = json.loads(answer.read())
        if answer.status != http.client.OK:
            raise RuntimeError(content["error"]["message"])
        return content


def _parameters(file: Path, place: str) -> Any:
    """Return how the file is opened: on the CPU, one request at a time, in 32 bits where llama.cpp has the choice."""
    import xllamacpp

    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(file)
    chosen.hostnames = [place]
    chosen.n_ctx = LONGEST + 2 * REPLY
    chosen.n_parallel = 1
    chosen.n_gpu_layers = 0
    for threads in (chosen.cpuparams, chosen.cpuparams_batch):
        threads.n_threads = os.cpu_count() or 1
        threads.poll = 0  # Threads that spin while they wait make two busy programs ten times slower.
    chosen.cache_type_k = chosen.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    chosen.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    chosen.cache_ram_mib = 0
    chosen.fit_params = chosen.warmup = chosen.ui = False
    chosen.verbosity = -1
    chosen.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    return chosen
