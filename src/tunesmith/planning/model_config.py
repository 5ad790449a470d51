"""What a model's ``config.json`` says, under the many names that families give the same thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from tunesmith.modalities.base import Family
from tunesmith.modalities.text.families import family_for
from tunesmith.spec.errors import NotALanguageModel, UnreadableFile

CAUSAL: Final = ("ForCausalLM", "LMHeadModel")
"""Ends of the names of architectures that write text from left to right."""
MASKED: Final = "ForMaskedLM"
"""End of the names of architectures that see both sides of a gap."""
COMPOSED: Final = "ForConditionalGeneration"
"""End of the names of models of several parts, one of which may be a language model (``text_config``)."""
PURPOSES: Final = {
    "ForImageClassification": "for images",
    "ForObjectDetection": "for images",
    "ForSpeechSeq2Seq": "for speech",
    "ForCTC": "for speech",
    "ForAudioClassification": "for sounds",
    "ForConditionalGeneration": "which is not text alone from left to right",
}
SHIFTED: Final = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Model types whose first position stands behind their padding token's number."""

ModelKind = Literal["decoder", "encoder"]


class ModelConfig:
    """One model's configuration; of a composed model, its language part."""

    def __init__(self, whole: dict[str, Any], file: Path, source: str) -> None:
        self._whole = whole
        self._file = file
        self._source = source
        self.model_type = str(whole.get("model_type", ""))
        self.family: Family = family_for(self.model_type)
        part = whole.get("text_config")
        self._part: dict[str, Any] = part if isinstance(part, dict) else whole
        self.architecture = self._architecture()
        self.kind: ModelKind = self._kind()

    def sizes(self) -> dict[str, int]:
        """Return the widths and counts under the names of ``ModelFacts``."""
        hidden = self._whole_number("hidden_size", "n_embd", "d_model", "dim", "n_embed")
        heads = self._whole_number("num_attention_heads", "n_head", "num_heads", "n_heads")
        inner = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "hidden_dim")
        return {
            "hidden": hidden,
            "heads": heads,
            "head_dim": self._whole_number("head_dim", default=max(1, hidden // heads)),
            "layers": self._whole_number("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
            "kv_heads": self._kv_heads(heads),
            "intermediate": self._whole_number(*inner, default=4 * hidden),
            "vocabulary": self._whole_number("vocab_size"),
        }

    def positions(self) -> int:
        """Return how many tokens the model can see, by its configuration or else by its family."""
        for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
            value = _count(self._part.get(name))
            if value is not None:
                shift = (_count(self._part.get("pad_token_id")) or 0) + 1 if self.model_type in SHIFTED else 0
                return max(1, value - shift)
        return self.family.max_length

    def window(self) -> int | None:
        """Return the sliding window, where one is in force in any layer."""
        kinds = self._part.get("layer_types") or []
        everywhere = bool(kinds) and all(kind == "full_attention" for kind in kinds)
        if everywhere or not self._part.get("use_sliding_window", True):
            return None
        return _count(self._part.get("sliding_window"))

    def tied(self, *, default: bool) -> bool:
        """Return whether the output head is the embedding."""
        said = self._whole.get("tie_word_embeddings", self._part.get("tie_word_embeddings"))
        return default if said is None else bool(said)

    def _architecture(self) -> str:
        named = self._whole.get("architectures")
        if not isinstance(named, list) or not named:
            raise NotALanguageModel(self._source, "its config.json names no architecture")
        if self.family.refusal:
            raise NotALanguageModel(self._source, self.family.refusal)
        if self._whole.get("quantization_config"):
            raise NotALanguageModel(self._source, "its weights are quantised; take the version in full precision")
        return str(named[0])

    def _kind(self) -> ModelKind:
        """Tell the kind by the family, else by the architecture's name."""
        composed = self._part is not self._whole and bool(self.family.model_types)
        if self.family.kind == "encoder" or self.architecture.endswith(MASKED):
            return "encoder"
        if self.architecture.endswith(CAUSAL) or (composed and self.architecture.endswith(COMPOSED)):
            return "decoder"
        purpose = next((text for end, text in PURPOSES.items() if self.architecture.endswith(end)), "")
        raise NotALanguageModel(
            self._source, f"its architecture is {self.architecture}{f', {purpose}' if purpose else ''}"
        )

    def _kv_heads(self, heads: int) -> int:
        """Count the heads of keys and values; one with multi-query attention (Falcon)."""
        if self._part.get("multi_query") and not self._part.get("new_decoder_architecture"):
            return 1
        return self._whole_number("num_key_value_heads", "num_kv_heads", default=heads)

    def _whole_number(self, *names: str, default: int | None = None) -> int:
        """Return the number under the first of these names; of a list, one for each layer, the largest."""
        for name in names:
            value = self._part.get(name)
            found = [_count(each) for each in (value if isinstance(value, list) else [value])]
            counts = [each for each in found if each is not None]
            if counts and len(counts) == len(found):
                return max(counts)
        if default is None:
            raise UnreadableFile(self._file, f"it has no usable '{names[0]}'")
        return default


def _count(value: object) -> int | None:
    """Return a whole number above zero as what it is, anything else as None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
