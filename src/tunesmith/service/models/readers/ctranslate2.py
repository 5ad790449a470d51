"""A Whisper model of CTranslate2: a child process writes it as a folder that transformers opens."""

from __future__ import annotations

from pathlib import Path

from tunesmith.service.models.converting import converted
from tunesmith.service.models.readers import Fetched, Reader


def read(fetched: Fetched, result: Path) -> str:
    """Turn model.bin, with config.json and tokenizer.json beside it, into a model folder.

    Raises:
        PullFailed: the run failed; the message is its own sentence.
    """
    weights = next(file for file in fetched.files if file.name == "model.bin")
    return converted(fetched, result, weights, [])


READER = Reader("ctranslate2", "the weights were renamed and stored as safetensors; each number stayed as it is.", read)
