"""Tiny real models for tests: random weights from a config, a byte-level tokenizer, a chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

MASKED = ("bert", "distilbert", "roberta", "electra")
"""Architectures that see both sides of a gap."""

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def make_tokenizer(
    folder: Path,
    *,
    template: str | None = CHATML,
    eos: str = "<|im_end|>",
    special: Sequence[str] = (),
    ending: str | None = None,
) -> int:
    """Write a byte-level tokenizer and return its vocabulary size.

    It has 256 bytes, three special tokens and those of ``special``; ``ending`` is one that it puts after every text.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in [*SPECIAL, *special]])
    if ending is not None:
        number = tokenizer.token_to_id(ending)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {ending}", special_tokens=[(ending, number)]
        )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": eos,
        "pad_token": "<|endoftext|>",
        "model_max_length": 512,
    }
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return tokenizer.get_vocab_size()


BASE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    "eos_token_id": 258,
    "pad_token_id": 256,
}
GPT: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
ENCODER: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
}
EXPERTS: dict[str, Any] = {**BASE, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
ENDS: dict[str, Any] = {"bos_token_id": 256, "eos_token_id": 258, "pad_token_id": 256}
SHAPES: dict[str, dict[str, Any]] = {
    "gpt2": {**GPT, **ENDS},
    "gptj": {**GPT, **ENDS, "rotary_dim": 4, "tie_word_embeddings": False},
    "falcon": {key: BASE[key] for key in BASE if key != "head_dim"} | {"multi_query": True},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4, **ENDS},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": 512, **ENDS},
    "opt": {**BASE, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 16},
    "qwen3_moe": EXPERTS,
    "gemma3n_text": {
        **BASE,
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "hidden_size_per_layer_input": 8,
        "laurel_rank": 4,
        "altup_num_inputs": 2,
        "activation_sparsity_pattern": [0.0] * 4,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
    },
    "llama4_text": {
        **BASE,
        "intermediate_size_mlp": 64,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 2,
    },
    "bert": ENCODER,
    "electra": {**ENCODER, "embedding_size": 32},
    "roberta": {**ENCODER, "max_position_embeddings": 514, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2},
    "gemma3": {
        "text_config": {**BASE, **ENDS},
        "vision_config": {**ENCODER, "image_size": 28, "patch_size": 14},
        "mm_tokens_per_image": 4,
        "image_token_index": 256,
        "tie_word_embeddings": True,
    },
    "distilbert": {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 512},
}
"""What a tiny model of each type is configured with, where it is not ``BASE``."""


def make_tiny_model(
    folder: Path, *, architecture: str = "llama", vocabulary: int | None = None, **overrides: Any
) -> Path:
    """Write a two-layer model with random weights (seeded) and its tokenizer.

    ``architecture`` is a key of transformers' CONFIG_MAPPING: llama, qwen3, mistral, gpt2, bert, ...
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    size = make_tokenizer(folder)
    sizes = {"vocab_size": vocabulary or size, **SHAPES.get(architecture, BASE)}
    if "text_config" in sizes:
        sizes["text_config"] = {**sizes["text_config"], "vocab_size": sizes.pop("vocab_size")}
    if "hidden_size_per_layer_input" in sizes:
        sizes["vocab_size_per_layer_input"] = sizes["vocab_size"]
    torch.manual_seed(0)
    kind = AutoModelForMaskedLM if architecture in MASKED else AutoModelForCausalLM
    model = kind.from_config(CONFIG_MAPPING[architecture](**sizes | overrides))
    model.save_pretrained(folder)
    return folder


def make_tiny_encoder(folder: Path, *, architecture: str = "bert", head: bool = False, **overrides: Any) -> Path:
    """Write a two-layer encoder with random weights (seeded) and a tokenizer of bytes between [CLS] and [SEP].

    ``head`` keeps the output head for covered words; without it the folder holds the backbone alone, as MiniLM's does.
    """
    import torch
    from tokenizers import AddedToken, Tokenizer, processors
    from transformers import AutoModel, AutoModelForMaskedLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    make_tokenizer(folder, template=None)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(f"[{name}]", special=True) for name in ("CLS", "SEP", "PAD", "MASK")])
    begin, end = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", end), ("[CLS]", begin))
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {f"{name.lower()}_token": f"[{name}]" for name in ("CLS", "SEP", "PAD", "MASK")}
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, **names})
    )
    sizes = SHAPES[architecture] | {
        "vocab_size": tokenizer.get_vocab_size(),
        "pad_token_id": tokenizer.token_to_id("[PAD]"),
    }
    torch.manual_seed(0)
    kind = AutoModelForMaskedLM if head else AutoModel
    kind.from_config(CONFIG_MAPPING[architecture](**sizes | overrides)).save_pretrained(folder)
    return folder
