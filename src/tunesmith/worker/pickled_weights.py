"""Pickled weights (``pytorch_model.bin``) become safetensors; numbers are read from them, and nothing is run.

torch's reader of weights alone knows how to make tensors, numbers, texts and lists, and refuses every other name that a
file asks for (https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only).
"""

from __future__ import annotations

import json
import pickle
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith.spec.errors import PullFailed

if TYPE_CHECKING:
    from torch import Tensor

CONFIGURATION: Final = "config.json"


def convert_pickled(source: Path, files: Sequence[str], target: Path) -> int:
    """Write the weights of a model's files into a folder, a file for each of them; return the number of parameters.

    Raises:
        PullFailed: a file holds something else than named tensors, or is damaged.
    """
    from safetensors.torch import save_file
    from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

    names: dict[str, str] = {}
    parameters = total = 0
    for place, file in enumerate(files, 1):
        weights = read_pickled(source / file)
        written = SAFE_WEIGHTS_NAME if len(files) == 1 else f"model-{place:05}-of-{len(files):05}.safetensors"
        save_file(weights, target / written, metadata={"format": "pt"})
        names |= dict.fromkeys(weights, written)
        parameters += sum(weight.numel() for weight in weights.values())
        total += sum(weight.nbytes for weight in weights.values())
    if len(files) > 1:
        told = {"metadata": {"total_size": total}, "weight_map": names}
        (target / SAFE_WEIGHTS_INDEX_NAME).write_text(json.dumps(told, indent=2) + "\n")
    shutil.copyfile(source / CONFIGURATION, target / CONFIGURATION)
    return parameters


def read_pickled(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name, each in memory of its own.

    Raises:
        PullFailed: it holds something else, or is damaged.
    """
    import torch

    try:
        # Files of the older kind are no archives, and cannot be read piece by piece.
        held = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        raise PullFailed(file.name, "it holds more than numbers, or is damaged; nothing of it was run") from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise PullFailed(file.name, f"it is no file of weights ({why[:120]})") from error
    if not isinstance(held, dict) or not held:
        raise PullFailed(file.name, "it holds no named weights")
    odd = next((name for name, each in held.items() if not isinstance(each, torch.Tensor)), None)
    if odd is not None:
        raise PullFailed(file.name, f"what it calls '{odd}' is no weight")
    return {str(name): each.detach().clone(memory_format=torch.contiguous_format) for name, each in held.items()}
