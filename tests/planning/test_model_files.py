from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tiny import make_tiny_model
from tunesmith.planning.facts import model_facts
from tunesmith.spec.errors import ModelNotFound, NotALanguageModel, UnreadableFile


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny Llama that a test may damage."""
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def configure(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changes}
    file.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def test_tells_a_llama_from_its_files(tiny_model):
    facts = model_facts(tiny_model, "tiny")
    assert (facts.source, facts.architecture, facts.model_type) == ("tiny", "LlamaForCausalLM", "llama")
    assert (facts.layers, facts.hidden, facts.intermediate, facts.heads, facts.kv_heads) == (2, 32, 64, 4, 2)
    assert (facts.vocabulary, facts.max_length, facts.dtype, facts.tied_embeddings) == (259, 512, "fp32", True)
    assert facts.linear_layers == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert facts.window is None


@pytest.mark.parametrize(
    ("architecture", "overrides"),
    [("llama", {}), ("llama", {"tie_word_embeddings": False}), ("gpt2", {}), ("qwen3", {}), ("mistral", {})],
)
def test_counts_parameters_as_torch_does(tmp_path, architecture, overrides):
    from transformers import AutoModelForCausalLM

    folder = make_tiny_model(tmp_path / "model", architecture=architecture, **overrides)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model_facts(folder, "tiny").parameters == sum(weight.numel() for weight in model.parameters())


def test_counts_an_adapter_as_peft_does(tiny_model):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    targets = ["q_proj", "v_proj", "down_proj"]
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(r=4, target_modules=targets))
    widths = model_facts(tiny_model, "tiny").linear_widths
    assert 4 * sum(widths[target] for target in targets) == model.get_nb_trainable_parameters()[0]


def test_knows_the_linear_layers_of_gpt2(tmp_path):
    facts = model_facts(make_tiny_model(tmp_path / "gpt2", architecture="gpt2"), "gpt2")
    assert facts.linear_layers == ["c_attn", "c_fc", "c_proj"]
    assert (facts.hidden, facts.intermediate, facts.max_length) == (32, 128, 512)


def test_counts_tied_weights_once_though_the_file_holds_them_twice(copy):
    before = model_facts(copy, "tiny").parameters
    weights = load_file(copy / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].copy()
    save_file(weights, copy / "model.safetensors")
    assert model_facts(copy, "tiny").parameters == before


def test_leaves_out_the_masks_that_old_gpt2_files_carry(tmp_path):
    folder = make_tiny_model(tmp_path / "gpt2", architecture="gpt2")
    before = model_facts(folder, "gpt2").parameters
    weights = load_file(folder / "model.safetensors")
    weights["h.0.attn.bias"] = np.ones((1, 1, 512, 512), np.float32)
    weights["h.0.attn.masked_bias"] = np.ones((), np.float32)
    save_file(weights, folder / "model.safetensors")
    assert model_facts(folder, "gpt2").parameters == before


def test_adds_up_shards(copy):
    whole = model_facts(copy, "tiny")
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {"m-1.safetensors": names[:5], "m-2.safetensors": names[5:]}
    for shard, held in shards.items():
        save_file({name: weights[name] for name in held}, copy / shard)
    placed = {name: shard for shard, held in shards.items() for name in held}
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    facts = model_facts(copy, "tiny")
    assert (facts.parameters, facts.linear_widths) == (whole.parameters, whole.linear_widths)
    assert facts.fingerprint != whole.fingerprint


def test_stores_the_number_format_of_most_weights(copy):
    weights = {name: weight.astype(np.float16) for name, weight in load_file(copy / "model.safetensors").items()}
    weights["model.norm.weight"] = weights["model.norm.weight"].astype(np.float32)
    save_file(weights, copy / "model.safetensors")
    assert model_facts(copy, "tiny").dtype == "fp16"


@pytest.mark.parametrize(
    ("changes", "window"),
    [
        ({"sliding_window": 128}, 128),
        ({"sliding_window": 128, "use_sliding_window": False}, None),
        ({"sliding_window": 128, "layer_types": ["full_attention"] * 2}, None),
        ({"sliding_window": 128, "layer_types": ["full_attention", "sliding_attention"]}, 128),
    ],
)
def test_knows_a_sliding_window(copy, changes, window):
    configure(copy, **changes)
    assert model_facts(copy, "tiny").window == window


def test_takes_the_familys_length_where_the_model_names_none(copy):
    configure(copy, max_position_embeddings=None)
    assert model_facts(copy, "tiny").max_length == 2048


def test_no_such_folder(tmp_path):
    with pytest.raises(ModelNotFound, match="nowhere: no such model"):
        model_facts(tmp_path / "nowhere", "nowhere")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"architectures": ["ViTForImageClassification"]}, "its architecture is ViTForImageClassification, for images"),
        (
            {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]},
            "encoder with a decoder.*take a decoder",
        ),
        ({"model_type": "qwen"}, "program code of its makers.*take a Qwen 2"),
        ({"architectures": None}, "names no architecture"),
        ({"architectures": []}, "names no architecture"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
    ],
)
def test_a_model_of_another_kind_is_refused(copy, changes, why):
    configure(copy, **changes)
    with pytest.raises(NotALanguageModel, match=why):
        model_facts(copy, "some/model")


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(NotALanguageModel, match=r"no config\.json"):
        model_facts(tmp_path, "x")


def test_an_adapter_is_not_a_base_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(NotALanguageModel, match="it is an adapter"):
        model_facts(tmp_path, "x")


@pytest.mark.parametrize(
    ("file", "why"), [("pytorch_model.bin", r"\.bin.*save_pretrained"), ("README", r"no model\.safetensors")]
)
def test_weights_of_another_kind_are_refused(copy, file, why):
    (copy / "model.safetensors").rename(copy / file)
    with pytest.raises(NotALanguageModel, match=why):
        model_facts(copy, "x")


@pytest.mark.parametrize("content", ["{", "[]", '{"architectures": ["XForCausalLM"]}', "\udcff"])
def test_a_damaged_configuration_is_one_sentence(copy, content):
    (copy / "config.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnreadableFile, match=r"config\.json: cannot be read"):
        model_facts(copy, "x")


def test_weights_stored_as_whole_numbers_are_refused(copy):
    weights = {name: weight.astype(np.int8) for name, weight in load_file(copy / "model.safetensors").items()}
    save_file(weights, copy / "model.safetensors")
    with pytest.raises(NotALanguageModel, match="hold no weights"):
        model_facts(copy, "x")
