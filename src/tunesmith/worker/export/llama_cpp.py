"""A GGUF file in the hands of llama.cpp (xllamacpp), asked as its users ask: over the server's chat completions."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.worker.export.opened import LIKELIEST, REPLY, Chances, Reply
from tunesmith.worker.export.replay import LONGEST, Replayed

SERVER: Final = "tunesmith.worker.export.llama_server"


def need_llama_cpp() -> None:
    """Find llama.cpp before anything is computed for it.

    Raises:
        ModuleNotFoundError: its package is not installed.
    """
    import xllamacpp  # type: ignore[import-untyped]  # noqa: F401


class LlamaCpp:
    """A GGUF file that llama.cpp has opened."""

    def __init__(self, file: Path) -> None:
        """Load the file in a process of its own, which listens on a Unix socket in a private folder.

        Raises:
            RuntimeError: llama.cpp does not open it; why is in the log.
        """
        self.by = f"llama.cpp (xllamacpp {version('xllamacpp')})"
        self._folder = tempfile.TemporaryDirectory(prefix="tunesmith-gguf-")
        self._socket = str(Path(self._folder.name) / "llama.sock")
        command = [sys.executable, "-m", SERVER, str(file), self._socket, str(LONGEST + 2 * REPLY)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            assert self._process.stdout is not None
            if self._process.stdout.readline() != b"ready\n":
                raise RuntimeError(f"llama.cpp cannot open {file.name}")
            self._letter = int(self._ask("/tokenize", {"content": "a"})["tokens"][-1])
        except BaseException:
            self.close()
            raise

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
            tools = {} if row.tools is None else {"tools": row.tools}
            answer = self._ask("/v1/chat/completions", {**asked, **tools})
            said = answer["choices"][0]
            text = said["message"].get("content") or ""
            found.append(Reply(said["finish_reason"] != "length", text))
        return found

    def ends_at(self, tokens: Iterable[int]) -> bool:
        """Offer nothing but the token: generation ends at once where the file says that an answer ends with it."""
        return all(self._ends_at(token) for token in tokens)

    def close(self) -> None:
        """Free the model and the socket."""
        self._process.kill()
        self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            if end is not None:
                end.close()
        self._folder.cleanup()

    def _ends_at(self, token: int) -> bool:
        only = {"logit_bias": [[token, 1000.0]], "samplers": ["top_k"], "top_k": 1}
        answer = self._complete([token], n_predict=2, **only)
        return bool(answer["choices"][0]["finish_reason"] == "stop")

    def _complete(self, prompt: list[int], **settings: Any) -> Any:
        asked = {"prompt": prompt, "temperature": 0.0, "cache_prompt": True, **settings}
        return self._ask("/v1/completions", asked)

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
