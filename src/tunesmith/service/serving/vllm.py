"""vLLM as the process that holds a base: a child on loopback, spoken to by a few of its routes alone.

https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html and .../features/lora.html say what it takes. Its
key guards only some of its routes, so nobody but this service learns its port and key, and no path of a request is
handed on. Prefixes are shared in its cache; a salt for each organisation keeps them apart.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tunesmith.modalities.adapter_fit import ADAPTER_WEIGHTS
from tunesmith.planning.gpus import gpus
from tunesmith.runs.exits import explain
from tunesmith.service.serving.process import Held, Sent, memory_of, stamp_of, weights_of
from tunesmith.service.serving.trained import is_trained
from tunesmith.service.serving.wire import Restore, Wire
from tunesmith.spec.errors import AdapterNotLive, ModelGone, PackageMissing, RunCrashed

if TYPE_CHECKING:
    from tunesmith.service.serving.targets import Target
    from tunesmith.settings import Settings

TETHER: Final = Path(__file__).with_name("tether.py")
COMMAND: Final = ("vllm",)
BASE: Final = "base"
"""What the child calls the model without an adapter."""
LOAD: Final = "/v1/load_lora_adapter"
UNLOAD: Final = "/v1/unload_lora_adapter"
DTYPES: Final = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
CACHE: Final = 4 << 30
"""Bytes that it takes on a CPU beside the weights: keys and values, as it does by default."""
LOOK_EVERY: Final = 0.2
"""Seconds between two looks at whether it answers by now."""
PROBE: Final = {"prompt": "The answer is", "max_tokens": 1, "temperature": 0, "logprobs": 5}
"""What a base and its adapter are asked, to see that they differ."""
ENVIRONMENT: Final = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}


class VllmServer:
    """One `vllm serve`; ``command`` is what stands before ``serve`` on its command line."""

    def __init__(self, settings: Settings, held: Held, name: str, command: Sequence[str] = COMMAND) -> None:
        self._settings = settings
        self._held = held
        self._name = name
        self._command = tuple(command)
        self._key = secrets.token_hex(16)
        self._child: subprocess.Popen[bytes] | None = None
        self._log = settings.home / "serving" / f"vllm-{os.getpid()}-{secrets.token_hex(4)}.log"
        self.needs = weights_of(held) + CACHE
        if held.device != "cpu":
            self.needs = int(settings.vllm_memory_share * max((gpu.total for gpu in gpus()), default=0))

    def start(self) -> None:
        """Start the child and wait until it answers.

        Raises:
            PackageMissing: vLLM is not installed.
            RunCrashed: it ended while it loaded.
        """
        if shutil.which(self._command[0]) is None:
            raise PackageMissing("vllm", "vllm")
        port = _free_port()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        keys = {"VLLM_API_KEY": self._key, **ENVIRONMENT}
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-S", "-E", str(TETHER), *self._command, *self._arguments(port)],
                stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **keys},
            )  # fmt: skip
        waiting = self._settings.serve_waiting
        headers = {"Authorization": f"Bearer {self._key}"}
        self.wire = Wire(f"http://127.0.0.1:{port}", self.end, waiting=waiting, headers=headers)
        while not self.wire.answers("/health"):
            if not self.alive:
                raise RunCrashed(self._name, self._why(), f"Its log is {self._log.name} in the home's folder serving.")
            time.sleep(LOOK_EVERY)

    def stop(self) -> None:
        """Let go of the child, which ends it and all that it started."""
        if self._child is None:
            return
        died = not self.alive
        assert self._child.stdin is not None
        with contextlib.suppress(OSError):
            self._child.stdin.close()
        self._child.wait()
        if not died:
            self._log.unlink(missing_ok=True)

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.poll() is None

    def end(self) -> ModelGone:
        """Say why it is gone."""
        return ModelGone(self._why())

    def memory(self) -> int:
        """Return the bytes that it takes: on a GPU, what it was given."""
        if not self.alive or self._child is None:
            return 0
        return self.needs if self._held.device != "cpu" else memory_of(self._child.pid)

    def body(self, target: Target, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return OpenAI's body with the child's name of the model, and the salt of the organisation."""
        return {**body, "model": self._model(target), "cache_salt": self._salt(target.org)}

    def restored(self, target: Target) -> Restore:
        """Put back the name by which the model was asked."""
        return lambda content: {**content, "model": target.name} if "model" in content else content

    def loading(self, target: Target) -> list[Sent]:
        """Load the adapter, then ask it and the base the same."""
        name = self._model(target)
        asked = [("POST", "/v1/completions", {**PROBE, "model": model}) for model in (BASE, name)]
        # Two requests may load it at once; in place, the second changes nothing.
        load = {"lora_name": name, "lora_path": str(target.adapter), "load_inplace": True}
        return [("POST", LOAD, load), *asked]

    def loaded(self, target: Target, answers: Sequence[Mapping[str, Any]]) -> int:
        """Return the bytes of an adapter's file.

        Raises:
            AdapterNotLive: it is trained, and base and adapter answer alike.
        """
        assert target.adapter is not None
        _, base, adapter = ([choice.get("logprobs") for choice in each.get("choices", ())] for each in answers)
        if base == adapter and is_trained(target.adapter / ADAPTER_WEIGHTS):
            raise AdapterNotLive(target.adapter)
        return (target.adapter / ADAPTER_WEIGHTS).stat().st_size

    def unloading(self, target: Target) -> list[Sent]:
        """Drop the adapter."""
        return [("POST", UNLOAD, {"lora_name": self._model(target)})]

    def _arguments(self, port: int) -> list[str]:
        settings = self._settings
        given: dict[str, object] = {
            "--host": "127.0.0.1",
            "--port": port,
            "--served-model-name": BASE,
            "--dtype": DTYPES[self._held.precision],
            "--max-num-seqs": settings.serve_rows,
            "--max-loras": settings.serve_rows,
            "--max-lora-rank": settings.vllm_max_rank,
        }
        if self._held.device != "cpu":
            given["--gpu-memory-utilization"] = settings.vllm_memory_share
        return ["serve", str(self._held.base), "--enable-lora", *(str(word) for pair in given.items() for word in pair)]

    def _model(self, target: Target) -> str:
        """Return the child's name of a target: for an adapter one that changes with its files."""
        if target.adapter is None:
            return BASE
        return f"lora-{hashlib.sha256(repr(stamp_of(target.adapter)).encode()).hexdigest()[:24]}"

    def _salt(self, org: str | None) -> str:
        return hashlib.sha256(f"{self._key}:{org}".encode()).hexdigest()

    def _why(self) -> str:
        code = self._child.poll() if self._child is not None else None
        if code is None:
            return "it ended"
        return explain(code if code >= 0 else None, -code if code < 0 else None).reason


def _free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
