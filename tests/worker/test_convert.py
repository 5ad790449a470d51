"""A GGUF file becomes a folder that transformers and tokenizers open, with the same numbers in it."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.events import Finished
from tunesmith.spec.examples import Message
from tunesmith.worker.convert import run as convert
from tunesmith.worker.reporting import Reporter

LLAMA_CPP_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name: str) -> str:
    for ours, theirs in LLAMA_CPP_NAMES.items():
        name = name.replace(ours, theirs)
    name = name.replace("model.layers.", "blk.").replace("model.embed_tokens", "token_embd")
    return name.replace("model.norm", "output_norm")


def interleaved(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp keeps the two halves of each head's rotary pairs side by side."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(model_dir: Path, file: Path, *, pre: str) -> None:
    config = json.loads((model_dir / "config.json").read_text())
    tokenizer = json.loads((model_dir / "tokenizer.json").read_text())
    vocabulary = {**tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}}
    pieces = sorted(vocabulary, key=vocabulary.__getitem__)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(len(pieces))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(pieces)
    writer.add_token_types([3 if piece.startswith("<|") else 1 for piece in pieces])
    writer.add_token_scores([0.0] * len(pieces))
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(258)
    writer.add_pad_token_id(256)
    writer.add_unk_token_id(256)
    writer.add_chat_template(json.loads((model_dir / "tokenizer_config.json").read_text())["chat_template"])
    for name, weight in AutoModelForCausalLM.from_pretrained(model_dir).model.state_dict(prefix="model.").items():
        values = weight.float().numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
            values = interleaved(values, heads)
        writer.add_tensor(gguf_name(name), np.ascontiguousarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def converted(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("convert")
    write_gguf(tiny_model, folder / "tiny.gguf", pre="smollm")
    (folder / "LICENSE").write_text("free")
    request = {"source": str(folder), "file": "tiny.gguf", "keep": ["LICENSE"], "card": "# tiny\n"}
    run = RunFolder.create(folder, kind="convert", name="tiny", request=request)
    convert(run, Reporter(run))
    return run


def test_the_model_computes_the_same(converted: RunFolder, tiny_model: Path) -> None:
    before = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16)
    after, told = AutoModelForCausalLM.from_pretrained(
        converted.artifacts_dir, dtype=torch.bfloat16, output_loading_info=True
    )
    assert not any(told[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.arange(32)[None]
    assert torch.equal(before(input_ids=ids).logits, after(input_ids=ids).logits)


def test_the_folder_says_what_it_is(converted: RunFolder) -> None:
    folder = converted.artifacts_dir
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["dtype"]) == (["LlamaForCausalLM"], "bfloat16")
    assert "quantization_config" not in config
    assert config["rms_norm_eps"] == 1e-06
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 258
    assert (folder / "README.md").read_text() == "# tiny\n"
    assert (folder / "LICENSE").read_text() == "free"


def test_the_tokenizer_and_template_come_along(converted: RunFolder, tiny_model: Path) -> None:
    ours, theirs = TextEncoder(converted.artifacts_dir), TextEncoder(tiny_model)
    turns = [Message("user", "Grüße  12 34")]
    assert ours.prompt(turns) == theirs.prompt(turns)
    assert ours.has_template
    assert ours.stop_ids == {258}


def test_text_is_cut_as_the_model_learnt_it(converted: RunFolder) -> None:
    tokenizer = Tokenizer.from_file(str(converted.artifacts_dir / "tokenizer.json"))
    cut = tokenizer.pre_tokenizer.pre_tokenize_str("a  12")
    assert [piece for piece, _ in cut] == ["a", "ĠĠ", "1", "2"]


def test_tells_what_it_made(converted: RunFolder) -> None:
    last = read(converted.events, 0)[0][-1].body
    assert isinstance(last, Finished)
    assert last.summary["parameters"] > 0
    assert last.artifacts == str(converted.artifacts_dir)
