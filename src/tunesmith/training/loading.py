"""Models from local folders, by what they are for; a part that the folder lacks starts at random from the seed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from tunesmith.spec.errors import NotALanguageModel
from tunesmith.training.adapters import freeze_other_parts
from tunesmith.training.precision import DTYPES

YOLO: Final = "ultralytics_yolo"
"""``model_type`` of networks that are not of transformers, but of the package ultralytics."""
ONE_LABEL: Final = "single_label_classification"
"""What transformers calls telling classes apart of which each row has one."""


_REQUIRED: Final = re.compile(r"requires the (\S+) library")
"""What transformers says of a package that a model needs."""


@dataclass(frozen=True)
class Fresh:
    """A loaded model, and what of it the files did not hold."""

    model: Any
    parts: list[str] = field(default_factory=list)
    """Names of the modules that start at random, the head included."""


def load_model(folder: Path, precision: str) -> Any:
    """Load a causal language model from a local folder.

    Raises:
        NotALanguageModel: transformers has no causal language model for it.
    """
    from transformers import AutoModelForCausalLM

    model = _load(AutoModelForCausalLM, folder, precision)[0]
    freeze_other_parts(model)
    return model


def load_classifier(folder: Path, precision: str, classes: Sequence[str], seed: int) -> Fresh:
    """Load a model that tells ``classes`` apart; a head for others, or for these in another order, is left aside.

    Raises:
        NotALanguageModel: transformers has no sequence classifier for it.
    """
    from transformers import AutoModelForSequenceClassification

    made = _with_heads(AutoModelForSequenceClassification, folder, precision, classes, seed, problem_type=ONE_LABEL)
    config = made.model.config
    if config.pad_token_id is None:  # by which a decoder finds the last token of each row
        end = config.eos_token_id
        config.pad_token_id = (end[0] if isinstance(end, list) else end) or 0
    if _stored_classes(folder, "ForSequenceClassification") not in (None, list(classes)):
        _start_heads(made.model, seed)
    return made


def load_picture_classifier(folder: Path, precision: str, classes: Sequence[str], seed: int) -> Fresh:
    """Load a model that tells ``classes`` of pictures apart; a head for others is left aside.

    Raises:
        NotALanguageModel: transformers has no image classifier for it.
    """
    from transformers import AutoModelForImageClassification

    made = _with_heads(AutoModelForImageClassification, folder, precision, classes, seed, problem_type=ONE_LABEL)
    if _stored_classes(folder, "ForImageClassification") not in (None, list(classes)):
        _start_heads(made.model, seed)
    return made


def load_writer_of_speech(folder: Path, precision: str) -> Fresh:
    """Load a model that writes what is said.

    Raises:
        NotALanguageModel: transformers has no such model for it.
    """
    from transformers import AutoModelForSpeechSeq2Seq

    return Fresh(*_load(AutoModelForSpeechSeq2Seq, folder, precision))


def load_speller(folder: Path, precision: str, seed: int, pieces: int, blank: int, *, own: bool) -> Fresh:
    """Load a model that spells what is said with so many ``pieces``; a head for others is left aside.

    ``own`` says that the folder's head is for these pieces.

    Raises:
        NotALanguageModel: transformers has no CTC model for it.
    """
    from transformers import AutoModelForCTC

    torch.manual_seed(seed)
    model, missing = _load(
        AutoModelForCTC, folder, precision, vocab_size=pieces, pad_token_id=blank, ignore_mismatched_sizes=True,
    )  # fmt: skip
    if not own and "lm_head" not in missing:
        torch.manual_seed(seed)
        model.lm_head.reset_parameters()
        missing = [*missing, "lm_head"]
    return Fresh(model, missing)


def load_sound_classifier(folder: Path, precision: str, classes: Sequence[str], seed: int) -> Fresh:
    """Load a model that tells ``classes`` of recordings apart; a head for others, or in another order, is left aside.

    Raises:
        NotALanguageModel: transformers has no audio classifier for it.
    """
    from transformers import AutoConfig, AutoModelForAudioClassification

    made = _with_heads(AutoModelForAudioClassification, folder, precision, classes, seed)
    stored = AutoConfig.from_pretrained(folder, local_files_only=True).id2label or {}
    if [name for _, name in sorted(stored.items())] != list(classes):
        torch.manual_seed(seed)
        _start_anew(made.model.classifier)
    return made


def load_detector(folder: Path, precision: str, classes: Sequence[str], seed: int) -> Fresh:
    """Load a model that finds things of ``classes`` in pictures; heads for others are left aside.

    Raises:
        NotALanguageModel: transformers has no detector for it, nor has the package ultralytics.
        PackageMissing: it is one of that package, which is not installed.
    """
    from transformers import AutoModelForObjectDetection, PreTrainedConfig

    if PreTrainedConfig.get_config_dict(folder, local_files_only=True)[0].get("model_type") == YOLO:
        from tunesmith.training.ultralytics_yolo import load_yolo

        return load_yolo(folder, precision, classes, seed)
    return _with_heads(AutoModelForObjectDetection, folder, precision, classes, seed)


def load_pair(folder: Path, precision: str) -> Any:
    """Load a model that compares pictures with texts.

    Raises:
        NotALanguageModel: transformers has no model for it.
    """
    from transformers import AutoModel

    return _load(AutoModel, folder, precision)[0]


def load_talker(folder: Path, precision: str) -> Any:
    """Load a model that writes about pictures.

    Raises:
        NotALanguageModel: transformers has no such model for it.
    """
    from transformers import AutoModelForImageTextToText

    return _load(AutoModelForImageTextToText, folder, precision)[0]


def load_masked(folder: Path, precision: str, seed: int) -> Fresh:
    """Load a model that fills in covered tokens.

    Raises:
        NotALanguageModel: transformers has no masked language model for it.
    """
    from transformers import AutoModelForMaskedLM

    torch.manual_seed(seed)
    return Fresh(*_load(AutoModelForMaskedLM, folder, precision))


def load_backbone(folder: Path, precision: str) -> Any:
    """Load a model without any head, such as one that gives vectors of sentences.

    Raises:
        NotALanguageModel: transformers has no model for it.
    """
    from transformers import AutoModel

    return _load(AutoModel, folder, precision)[0]


def head_parts(model: Any) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules with weights that stand behind the backbone of a classifier."""
    within = backbone_name(model)
    for name, part in model.named_children():
        if name != within and any(True for _ in part.parameters()):
            yield name, part


def backbone_name(model: Any) -> str:
    """Return the name of a classifier's backbone; of CLIP only its image tower is there, and its prefix names both."""
    parts = dict(model.named_children())
    largest = max(parts, key=lambda name: sum(each.numel() for each in parts[name].parameters()))
    prefix = str(model.base_model_prefix)
    return prefix if prefix in parts else largest


def _with_heads(kind: Any, folder: Path, precision: str, classes: Sequence[str], seed: int, **options: Any) -> Fresh:
    """Load a model with heads for ``classes``; those that the files lack, or have for others, start at random."""
    torch.manual_seed(seed)
    names = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    options |= {"num_labels": len(classes), "ignore_mismatched_sizes": True, **names}
    return Fresh(*_load(kind, folder, precision, **options))


def _load(kind: Any, folder: Path, precision: str, **options: Any) -> tuple[Any, list[str]]:
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, info = kind.from_pretrained(
            folder,
            dtype=DTYPES[precision],
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except (ValueError, KeyError) as error:
        why = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise NotALanguageModel(str(folder), why) from error
    except ImportError as error:
        needed = _REQUIRED.search(str(error))
        package = needed[1] if needed else error.name
        why = f"it needs the package {package}, which is not installed" if package else str(error).splitlines()[0]
        raise NotALanguageModel(str(folder), why) from error
    return model, _owners(model, [*info["missing_keys"], *(key for key, *_ in info["mismatched_keys"])])


def _owners(model: Any, missing: Iterable[str]) -> list[str]:
    """Return the layers to which missing weights belong, but not the table of outputs, which is that of the inputs."""
    owners = {key.rpartition(".")[0] for key in missing}
    table = model.get_output_embeddings()
    found = {name: model.get_submodule(name) for name in sorted(owners)}
    return [name for name, layer in found.items() if layer is not table and not any(layer.children())]


def _start_heads(model: Any, seed: int) -> None:
    """Let heads for other classes, or for these in another order, start at random."""
    torch.manual_seed(seed)
    for _, part in head_parts(model):
        _start_anew(part)


def _start_anew(part: nn.Module) -> None:
    for layer in part.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def _stored_classes(folder: Path, kind: str) -> list[str] | None:
    """Return the names of the classes that a folder's own head of a ``kind`` tells apart, if it has one."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    named = any(name.endswith(kind) for name in config.architectures or [])
    return [name for _, name in sorted((config.id2label or {}).items())] if named else None
