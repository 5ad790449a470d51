"""A language model of an evaluation: loaded once, asked and then scored on rows, with its adapter on or off."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.data.token_rows import TokenRows
from tunesmith.generation.asking import Ask
from tunesmith.generation.decoder import Decoder
from tunesmith.generation.lora import per_row
from tunesmith.modalities.adapter_fit import check_adapter
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.text.families import family_for
from tunesmith.modalities.text.predictor import TextPredictor, Tokens
from tunesmith.spec.evaluation import ModelSize
from tunesmith.spec.sampling import Sampling
from tunesmith.training.forward import Forward, build_forward, inner
from tunesmith.training.loading import load_model
from tunesmith.training.scoring import RowScores, score_rows
from tunesmith.worker.serving.loading import take_weights
from tunesmith.worker.serving.writing import Writing
from tunesmith.worker.telling import Beat

MICRO_TOKENS: Final = 2048
"""Tokens scored at once: nothing is kept for a way back, so that this many take little memory."""
ROWS: Final = 8
"""Answers that are written at once."""


class Contender:
    """A model on a device; without gradients, and never in training mode. It is asked before it is scored."""

    def __init__(
        self,
        model_dir: Path,
        adapter: Path | None,
        *,
        checkpoint: Path | None = None,
        precision: str,
        device: torch.device,
        length: int,
    ) -> None:
        """Load it.

        ``checkpoint`` holds other weights for all of the model; ``length`` is that of the longest row that it will be
        scored on, in tokens.

        Raises:
            NotALanguageModel: transformers has no causal language model for the folder.
            AdapterMismatch: the adapter's shapes are not those of the model.
        """
        if adapter is not None:
            check_adapter(adapter, model_dir)
        self._model: Any = load_model(model_dir, precision)
        if checkpoint is not None:
            take_weights(self._model, checkpoint)
        self._model.to(device).eval()
        self._device, self._adapter, self._length = device, adapter, length
        self._adapted = False
        """Whether the adapter is on the model, where it can be switched off, and not beside it."""
        self._forward: Forward | None = None
        self._family = family_for(str(read_json(model_dir / "config.json").get("model_type", "")))

    def answer(
        self,
        prompts: Sequence[Sequence[int]],
        encoder: Tokens,
        sampling: Sampling,
        beats: Sequence[tuple[bool, Beat]],
    ) -> list[list[str]]:
        """Write an answer to each prompt's tokens, once for each of ``beats``: with the adapter switched off or not.

        Raises:
            PromptTooLong: the model sees fewer tokens than a prompt has.
            AdapterNotLive: the adapter's weights are trained and change no answer.
        """
        if self._adapter is not None and per_row(self._adapter) is not None:
            self._put_on()
            return [self._one_by_one(prompts, encoder, sampling, beat, bare=bare) for bare, beat in beats]
        attention = self._model.config._attn_implementation
        decoder = Decoder(self._model, rows=ROWS, waiting=len(prompts))
        try:
            if self._adapter is not None:
                decoder.load_adapter(str(self._adapter), self._adapter)
            keys = [(None if bare or self._adapter is None else str(self._adapter), beat) for bare, beat in beats]
            return [_written(decoder, prompts, encoder, sampling, beat, key) for key, beat in keys]
        finally:
            decoder.close()
            self._model.config._attn_implementation = attention

    def size(self) -> ModelSize:
        """Count its parameters and the memory of its weights."""
        self._put_on()
        parameters = dict(self._model.named_parameters())
        adapted = [p.numel() for name, p in parameters.items() if "lora_" in name or "modules_to_save" in name]
        total = sum(p.numel() for p in parameters.values())
        held = [*parameters.values(), *self._model.buffers()]
        return ModelSize(
            total_parameters=total,
            trainable_parameters=sum(adapted) if self._adapter is not None else total,
            model_size_mb=sum(tensor.numel() * tensor.element_size() for tensor in held) / 2**20,
        )

    def score(self, rows: TokenRows, beat: Beat, *, bare: bool = False) -> RowScores:
        """Score rows; ``bare`` switches the adapter off, and ``beat`` hears the share of the rows that is done.

        Raises:
            OutOfMemory: a single row does not fit.
        """
        self._put_on()
        self._forward = self._forward or build_forward(
            self._model,
            attention=self._family.attention,
            fused=self._family.fused,
            joined=self._family.attention == "documents",
            checkpointing=False,
            length=self._length,
        )
        fill = getattr(inner(self._model).config, "pad_token_id", None) or 0
        with self._bare(bare):
            return score_rows(
                self._model, self._forward, rows, micro_tokens=MICRO_TOKENS, device=self._device, fill=fill, beat=beat
            )

    def _put_on(self) -> None:
        if self._adapter is not None and not self._adapted:
            from peft import PeftModel

            self._model = PeftModel.from_pretrained(self._model, str(self._adapter)).to(self._device).eval()
            self._adapted = True

    def _one_by_one(
        self, prompts: Sequence[Sequence[int]], encoder: Tokens, sampling: Sampling, beat: Beat, *, bare: bool
    ) -> list[str]:
        found = []
        predictor = TextPredictor(self._model, encoder)
        with self._bare(bare), torch.no_grad():
            for number, prompt in enumerate(prompts, 1):
                found.append("".join(predictor.answer(prompt, sampling)).strip())
                beat(number / len(prompts))
        return found

    def _bare(self, bare: bool) -> Any:
        return self._model.disable_adapter() if bare and self._adapted else nullcontext()


def _written(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    encoder: Tokens,
    sampling: Sampling,
    beat: Beat,
    adapter: str | None,
) -> list[str]:
    """Write all answers side by side."""
    asks = [Ask(ids, sampling, stop_ids=encoder.stop_ids, adapter=adapter) for ids in prompts]
    tickets = [decoder.submit(ask) for ask in asks]
    found = []
    try:
        for number, ticket in enumerate(tickets, 1):
            pieces = Writing(ticket, encoder.decode, stop_ids=encoder.stop_ids, stop=sampling.stop)
            found.append("".join(piece.text for piece in pieces).strip())
            beat(number / len(prompts))
    finally:
        for ticket in tickets:
            ticket.close()
    return found
