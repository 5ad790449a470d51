"""What a serve run holds: a base model, one with an adapter merged into it, or one with the weights of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tunesmith.generation.decoder import Decoder
from tunesmith.generation.lora import per_row
from tunesmith.modalities.adapter_fit import ADAPTER_WEIGHTS, check_adapter
from tunesmith.modalities.folders import Use
from tunesmith.modalities.text.predictor import refuse_silent
from tunesmith.runs.checkpoints import at
from tunesmith.spec.errors import AdapterNotLive, NotALanguageModel, NothingToExport
from tunesmith.training.loading import load_backbone, load_model
from tunesmith.training.merge import difference, logits, merged, with_adapter
from tunesmith.training.optimizers import statistics_of
from tunesmith.worker.serving.adapters import Adapters, adapter_folder
from tunesmith.worker.serving.embeddings import Vectors
from tunesmith.worker.serving.engine import Engine
from tunesmith.worker.serving.predictor_engine import PredictorEngine, load_predictor_engine, use_asked
from tunesmith.worker.serving.texts import Texts
from tunesmith.worker.serving.vector_engine import VectorEngine

PROBE_TOKENS = 16
"""Tokens of the prompt by which a merged model is told from its base."""


def load_engine(request: Mapping[str, Any], scratch: Path) -> Engine | VectorEngine | PredictorEngine:
    """Load what a run's request names; ``scratch`` is for adapters that are written out of checkpoints.

    A model of pictures or sounds is asked in its own ways; a checkpoint is named beside the result of its run. One of
    text that does not write is loaded for its vectors, unless an adapter or a checkpoint is named with it.

    Raises:
        NotALanguageModel: there is no such model, or what is named with it is none that writes.
        AdapterMismatch: the adapter belongs to another base.
        AdapterNotLive: the adapter changes nothing.
    """
    if (use := use_asked(request)) is not None:
        return load_predictor_engine(_as_saved(request, use, scratch), use)
    base = Path(request["model"])
    name = str(request.get("name") or base.name)
    trained = any(request.get(key) for key in ("adapter", "merge", "checkpoint"))
    try:
        refuse_silent(base)
    except NotALanguageModel as silent:
        if trained:
            raise
        model = load_backbone(base, request["precision"]).to(request["device"]).eval()
        return VectorEngine(name, Vectors(model, base), silent)
    return _writing(request, base, name, scratch)


def _as_saved(request: Mapping[str, Any], use: Use, scratch: Path) -> Mapping[str, Any]:
    """Return the request with the result of a run as it was at the checkpoint that is named with it."""
    if not request.get("checkpoint"):
        return request
    from tunesmith.worker.serving.at_checkpoint import result_at

    part = "merge" if request.get("merge") else "adapter" if request.get("adapter") else "model"
    made = result_at(Path(request[part]), Path(request["checkpoint"]), scratch / "checkpoint", does=use.does)
    return {**request, part: str(made)}


def _writing(request: Mapping[str, Any], base: Path, name: str, scratch: Path) -> Engine:
    own, merge = _adapter(request.get("adapter"), scratch), _adapter(request.get("merge"), scratch)
    if own is not None and per_row(own) is not None:
        own, merge = None, own
    model = load_model(base, request["precision"])
    if request.get("checkpoint"):
        take_weights(model, Path(request["checkpoint"]))
    if merge is not None:
        model = merge_live(model, base, merge)
    model = model.to(request["device"]).eval()
    texts = Texts(base, model.get_input_embeddings().num_embeddings)
    if merge is not None and (merge / "tokenizer.json").is_file():
        texts = texts.of(merge)
    limits = {key: request[key] for key in ("rows", "waiting", "adapter_bytes") if request.get(key)}
    decoder = Decoder(model, **limits)
    adapters = Adapters(decoder, base, scratch, texts)
    engine = Engine(
        name, decoder, texts, adapters, Vectors(model, base), base=base, own=None if own is None else str(own)
    )
    if own is not None:
        engine.load(str(own))
    return engine


def take_weights(model: Any, checkpoint: Path) -> None:
    """Put the weights of a checkpoint of a full training into the model that it trained.

    Raises:
        NothingToExport: the checkpoint is damaged, or holds the weights of something else.
    """
    from safetensors.torch import load_file

    if at(checkpoint) is None:
        raise NothingToExport(checkpoint.parent.parent.name, f"{checkpoint.name} is not whole")
    parameters = {**dict(model.named_parameters()), **statistics_of(model)}
    with torch.no_grad():
        for name, weight in load_file(checkpoint / "weights.safetensors").items():
            if name not in parameters or parameters[name].shape != weight.shape:
                raise NothingToExport(
                    checkpoint.parent.parent.name, f"'{name}' of {checkpoint.name} is not in its base"
                )
            parameters[name].copy_(weight)


def merge_live(model: Any, base: Path, adapter: Path) -> Any:
    """Merge an adapter into the model in memory, and see that the model answers otherwise than before.

    Raises:
        AdapterMismatch: a layer of the adapter is not in the model, or has another size there.
        AdapterNotLive: its weights are trained, and no answer changes.
    """
    check_adapter(adapter, base)
    probe = [torch.arange(1, PROBE_TOKENS + 1) % model.get_input_embeddings().num_embeddings]
    before = logits(model.eval(), probe)
    trained = is_trained(adapter)
    model = merged(with_adapter(model, adapter))
    if trained and difference(before, logits(model, probe)).largest == 0:
        raise AdapterNotLive(adapter)
    return model


def is_trained(adapter: Path) -> bool:
    """Whether the weights of an adapter can change an answer: one of its last factors is not all zero, or of its own
    modules one is there."""
    from safetensors import safe_open

    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:
        factors = [name for name in file.keys() if ".lora_" in name]  # noqa: SIM118  it is no mapping
        ends = [name for name in factors if ".lora_B" in name or ".lora_embedding_B" in name]
        return len(factors) < len(file.keys()) or any(bool(file.get_tensor(name).any()) for name in ends)


def _adapter(folder: str | None, scratch: Path) -> Path | None:
    """Return the folder of an adapter; that of a checkpoint is written out first."""
    if folder is None:
        return None
    place = adapter_folder(Path(folder), scratch)
    refuse_silent(place)
    return place
