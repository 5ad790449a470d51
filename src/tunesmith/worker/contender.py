"""A language model of an evaluation: loaded once, scored on rows and asked, with its adapter switched on or off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import torch

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.adapter_fit import check_adapter
from tunesmith.modalities.chat_template import read_json
from tunesmith.modalities.text.families import family_for
from tunesmith.modalities.text.predictor import TextPredictor, Tokens
from tunesmith.spec.evaluation import ModelSize
from tunesmith.spec.sampling import Sampling
from tunesmith.training.forward import Forward, build_forward, inner
from tunesmith.training.loading import load_model
from tunesmith.training.scoring import RowScores, score_rows

MICRO_TOKENS: Final = 2048
"""Tokens scored at once: nothing is kept for a way back, so that this many take little memory."""

Beat = Callable[[float], None]


class Contender:
    """A model on a device; without gradients, and never in training mode."""

    def __init__(
        self, model_dir: Path, adapter: Path | None, *, precision: str, device: torch.device, length: int
    ) -> None:
        """Load it; ``length`` is that of the longest row that it will be scored on, in tokens.

        Raises:
            NotALanguageModel: transformers has no causal language model for the folder.
            AdapterMismatch: the adapter's shapes are not those of the model.
        """
        model = load_model(model_dir, precision)
        if adapter is not None:
            from peft import PeftModel

            check_adapter(adapter, model_dir)
            model = PeftModel.from_pretrained(model, str(adapter))
        self._model: Any = model.to(device).eval()
        self._device = device
        self._adapter = adapter
        self._length = length
        self._forward: Forward | None = None
        self._own_attention = inner(self._model).config._attn_implementation
        self._family = family_for(str(read_json(model_dir / "config.json").get("model_type", "")))

    def size(self) -> ModelSize:
        """Count its parameters and the memory of its weights."""
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

    def answer(
        self, prompts: Sequence[Sequence[int]], encoder: Tokens, sampling: Sampling, beat: Beat, *, bare: bool = False
    ) -> list[str]:
        """Write an answer to each prompt's tokens; ``bare`` switches the adapter off.

        Raises:
            PromptTooLong: the model sees fewer tokens than a prompt has.
        """
        found = []
        with self._bare(bare), self._answering() as predictor:
            for number, prompt in enumerate(prompts, 1):
                found.append("".join(predictor(encoder).answer(prompt, sampling)).strip())
                beat(number / len(prompts))
        return found

    @contextmanager
    def _answering(self) -> Iterator[Callable[[Tokens], TextPredictor]]:
        """Let the model use its own attention, which the scoring of joined rows may have replaced."""
        config = inner(self._model).config
        replaced, config._attn_implementation = config._attn_implementation, self._own_attention
        try:
            with torch.no_grad():
                yield lambda encoder: TextPredictor(self._model, encoder)
        finally:
            config._attn_implementation = replaced

    def _bare(self, bare: bool) -> Any:
        return self._model.disable_adapter() if bare and self._adapter is not None else nullcontext()
