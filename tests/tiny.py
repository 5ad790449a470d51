"""Tiny real models for tests: random weights from a config, a byte-level tokenizer, a chat template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def make_tokenizer(folder: Path, *, template: str | None = CHATML, eos: str = "<|im_end|>") -> int:
    """Write a byte-level tokenizer (256 bytes and three special tokens) and return its vocabulary size."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
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


def make_tiny_model(
    folder: Path, *, architecture: str = "llama", vocabulary: int | None = None, **overrides: Any
) -> Path:
    """Write a two-layer causal language model with random weights (seeded) and its tokenizer.

    ``architecture`` is a key of transformers' CONFIG_MAPPING: llama, qwen3, mistral, gpt2, ...
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    size = make_tokenizer(folder)
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary or size,
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
    if architecture == "gpt2":
        sizes = {"vocab_size": vocabulary or size, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512}
        sizes |= {"bos_token_id": 256, "eos_token_id": 258, "pad_token_id": 256}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[architecture](**sizes | overrides))
    model.save_pretrained(folder)
    return folder
