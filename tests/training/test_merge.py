"""An adapter that is saved, opened by PEFT, and merged: the same logits each time."""

import pytest
import torch

from tiny import make_tiny_model
from training.parts import load_tiny
from tunesmith.training.adapter_files import saved_name, trained_modules, write_adapter
from tunesmith.training.adapters import add_adapter, lora_config, trained_copy
from tunesmith.training.merge import difference, logits, merged, with_adapter

PROBES = [torch.arange(1, 20), torch.arange(40, 70)]
SHAPES = {"lora": {}, "rslora": {"rslora": True}, "dora": {"dora": True}, "both": {"rslora": True, "dora": True}}


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("gpt2"), architecture="gpt2")


def adapted(folder, targets, **changes):
    model = add_adapter(load_tiny(folder), rank=4, alpha=8, dropout=0.1, targets=targets, seed=0, **changes)
    generator = torch.Generator().manual_seed(0)
    for _, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model.eval()


def described(targets, **changes):
    given = {"dora": False, "rslora": False, "task": "CAUSAL_LM", "trained": [], "excluded": None}
    return lora_config(rank=4, alpha=8, dropout=0.1, targets=targets, **given | changes)


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_saved_adapter_opens_with_peft_and_merges_into_the_same_model(
    architecture, changes, tiny_model, gpt2, tmp_path
):
    folder, targets = (gpt2, ["c_attn", "c_proj"]) if architecture == "gpt2" else (tiny_model, ["q_proj", "down_proj"])
    model = adapted(folder, targets, **changes)
    said = logits(model, PROBES)
    assert difference(logits(load_tiny(folder).eval(), PROBES), said).relative > 0.05
    write_adapter(tmp_path, described(targets, **changes), trained_copy(model), str(folder))

    opened = with_adapter(load_tiny(folder), tmp_path)
    config = opened.peft_config["default"]
    assert (config.use_dora, config.use_rslora) == (changes.get("dora", False), changes.get("rslora", False))
    assert difference(said, logits(opened, PROBES)).relative < 1e-5
    whole = merged(opened)
    assert not any("lora" in name for name, _ in whole.named_modules())
    assert difference(said, logits(whole, PROBES)).relative < 1e-4


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_names_in_the_file_are_those_of_peft(changes, tiny_model):
    from peft import get_peft_model_state_dict

    model = adapted(tiny_model, ["q_proj"], trained=["model.norm"], **changes)
    weights, theirs = trained_copy(model), get_peft_model_state_dict(model, save_embedding_layers=False)
    assert {saved_name(name) for name in weights} == set(theirs)
    assert all(torch.equal(weight, theirs[saved_name(name)]) for name, weight in weights.items())
    assert trained_modules(weights) == ["model.norm"]


def test_in_16_bits_each_weight_is_rounded_once(tiny_model, tmp_path):
    model = adapted(tiny_model, ["q_proj", "down_proj"])
    write_adapter(tmp_path, described(["q_proj", "down_proj"]), trained_copy(model), str(tiny_model))
    exact = merged(with_adapter(load_tiny(tiny_model, dtype=torch.bfloat16).float(), tmp_path)).bfloat16()
    rounded = merged(with_adapter(load_tiny(tiny_model, dtype=torch.bfloat16), tmp_path))
    for (name, one), (_, other) in zip(exact.named_parameters(), rounded.named_parameters(), strict=True):
        assert one.dtype == other.dtype == torch.bfloat16
        assert torch.equal(one, other), name


def test_the_divergence_of_a_model_from_itself_is_nothing_and_grows_with_the_change():
    one = [torch.tensor([[1.0, 2.0, 3.0]])]
    assert difference(one, one).divergence == 0
    near, far = ([torch.tensor([[1.0, 2.0, value]])] for value in (3.1, 5.0))
    assert 0 < difference(one, near).divergence < difference(one, far).divergence
    assert difference(one, far).largest == 2.0
    assert difference(one, far).relative == pytest.approx(2 / 3)
