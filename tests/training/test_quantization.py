"""A base in 4 or 8 bits: loss and gradients are those of PEFT over bitsandbytes' own layers, on every path."""

import pytest
import torch

from tiny import make_tiny_model
from training.parts import CPU, token_rows
from tunesmith.training.adapters import add_adapter
from tunesmith.training.forward import build_forward, loss_of
from tunesmith.training.joining import TokenBatches
from tunesmith.training.quantization import quantize

FORMS = [(4, "nf4", False), (4, "nf4", True), (4, "fp4", False), (8, "nf4", False)]
TARGETS = ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    # Widths are multiples of 64: bitsandbytes' own CPU kernel is right for no others.
    return make_tiny_model(tmp_path_factory.mktemp("llama"), hidden_size=64, head_dim=16, intermediate_size=128)


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory):
    return make_tiny_model(
        tmp_path_factory.mktemp("gpt2"),
        architecture="gpt2",
        n_embd=64,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )


def reference(folder, bits, kind, double, loader="AutoModelForCausalLM", head=None):
    """The model as transformers and bitsandbytes load it; a ``head`` that is named keeps its weights."""
    import transformers
    from transformers import BitsAndBytesConfig

    how = BitsAndBytesConfig(
        load_in_4bit=bits == 4,
        load_in_8bit=bits == 8,
        bnb_4bit_quant_type=kind,
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=torch.float32,
        llm_int8_skip_modules=None if head is None else [head],
    )
    model = getattr(transformers, loader).from_pretrained(
        folder, dtype=torch.float32, quantization_config=how, device_map={"": "cpu"}
    )
    for module in model.modules():
        module.support_avx512bf16_for_cpu = False  # else it repacks outside training, and loses to rounding
    return model


def dequantised(folder, bits, kind, double):
    """A plain model with the values that the layers of few bits stand for."""
    model, stored = plain(folder), ours(folder, bits, kind, double)
    for (name, layer), (_, other) in zip(model.named_modules(), stored.named_modules(), strict=True):
        if "_proj" in name:
            layer.weight.data = other.matrix()
    return model


def plain(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def ours(folder, bits, kind, double):
    model = plain(folder)
    quantize(model, bits=bits, kind=kind, double=double, compute=torch.float32, device=CPU)
    return model


def adapted(model, targets=TARGETS, **changes):
    model = add_adapter(model, rank=4, alpha=8, dropout=0.0, targets=targets, seed=0, **changes)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1, generator=generator)
    return model


def loss_and_gradients(model, attention, *, fused=True, checkpointing=False):
    forward = build_forward(
        model, attention=attention, fused=fused, joined=True, checkpointing=checkpointing, length=64
    )
    model.train()
    rows = token_rows(12)
    batch = TokenBatches(rows, CPU, joined=forward.joined, fill=0).batch(range(len(rows)))
    loss = loss_of(forward, model, batch)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    return type(forward).__name__, loss.item(), gradients


def assert_same(one, other):
    assert one[1] == pytest.approx(other[1], rel=1e-5)
    assert one[2].keys() == other[2].keys()
    for name, gradient in other[2].items():
        torch.testing.assert_close(one[2][name], gradient, rtol=1e-3, atol=1e-4 * float(gradient.abs().max()) + 1e-7)


@pytest.mark.parametrize("changes", [{}, {"rslora": True}, {"dora": True}], ids=["lora", "rslora", "dora"])
@pytest.mark.parametrize(("bits", "kind", "double"), FORMS)
def test_every_path_computes_what_peft_over_bitsandbytes_computes(bits, kind, double, changes, llama):
    # DoRA over bitsandbytes' own 8-bit layers fails on a CPU.
    base = dequantised if bits == 8 and "dora" in changes else reference
    stock = loss_and_gradients(adapted(base(llama, bits, kind, double), **changes), "stock")
    assert stock[0] == "Stock"
    assert_same(loss_and_gradients(adapted(ours(llama, bits, kind, double), **changes), "stock"), stock)
    for fused in (False, True):
        fast = loss_and_gradients(adapted(ours(llama, bits, kind, double), **changes), "documents", fused=fused)
        assert fast[0] == ("Fused" if fused and "dora" not in changes else "Documents")
        assert_same(fast, stock)


@pytest.mark.parametrize("bits", [4, 8])
def test_recomputing_activations_changes_nothing(bits, llama):
    kept = loss_and_gradients(adapted(ours(llama, bits, "nf4", True)), "documents")
    assert_same(loss_and_gradients(adapted(ours(llama, bits, "nf4", True)), "documents", checkpointing=True), kept)


@pytest.mark.parametrize("bits", [4, 8])
def test_layers_that_lie_crosswise_are_stored_too(bits, gpt2):
    targets = ["c_attn", "c_proj"]
    stock = loss_and_gradients(adapted(reference(gpt2, bits, "nf4", False), targets), "stock")
    assert_same(loss_and_gradients(adapted(ours(gpt2, bits, "nf4", False), targets), "stock"), stock)


@pytest.mark.parametrize(("bits", "share"), [(4, 0.15), (8, 0.27)])
def test_the_backbone_shrinks_and_head_and_embeddings_stay(bits, share, llama):
    model = ours(llama, bits, "nf4", True)
    layers = [p for name, p in model.named_parameters() if "_proj" in name]
    whole = sum(p.numel() * 4 for name, p in plain(llama).named_parameters() if "_proj" in name)
    assert sum(p.numel() * p.element_size() for p in layers) < share * whole
    assert type(model.get_output_embeddings()) is torch.nn.Linear
    assert model.get_input_embeddings().weight.dtype == torch.float32


@pytest.mark.parametrize("bits", [4, 8])
def test_validation_and_training_compute_the_same(bits, llama):
    model = ours(llama, bits, "nf4", False)
    ids = torch.arange(20).unsqueeze(0)
    with torch.no_grad():
        training = model.train()(input_ids=ids).logits
        torch.testing.assert_close(model.eval()(input_ids=ids).logits, training, rtol=0, atol=0)


def test_a_number_format_for_the_4_bit_weights_is_used(llama):
    model = plain(llama)
    quantize(model, bits=4, kind="nf4", double=False, compute=torch.bfloat16, device=CPU)
    layer = model.model.layers[0].self_attn.q_proj
    x = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    assert layer.matrix().dtype == torch.bfloat16
    torch.testing.assert_close(layer(x), (x.bfloat16() @ layer.matrix().t()).float(), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("shapes", [[(8, 48), (4, 48)], [(64, 64), (32, 64)], [(3, 10), (5, 10)]])
def test_weights_of_any_width_are_written_out_as_what_they_stand_for(shapes, kind):
    from tunesmith.training.stored import FourBit

    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=generator) for shape in shapes]
    layers = [FourBit(weight, None, kind=kind, double=False, compute=torch.float32, device=CPU) for weight in weights]
    expected = [by_hand(layer.weight) for layer in layers]
    for layer, values in zip(layers, expected, strict=True):
        torch.testing.assert_close(layer.matrix(), values.view(layer.matrix().shape), rtol=0, atol=0)
    joined = FourBit.join(layers)()
    torch.testing.assert_close(joined, torch.cat([layer.matrix() for layer in layers]), rtol=0, atol=0)
    assert float((joined - torch.cat(weights)).abs().mean()) < 0.15


def by_hand(weight):
    """Unpack: the first of two values is in the upper half of a byte, a scale holds for 64 values on end."""
    packed, state = weight.data.view(-1), weight.quant_state
    places = torch.stack([packed >> 4, packed & 15], 1).flatten().long()[: state.shape.numel()]
    return state.code[places] * state.absmax.repeat_interleave(64)[: len(places)]


def test_a_layer_that_is_trained_as_a_whole_keeps_its_weights(llama):
    model = plain(llama)
    kept = "model.layers.1.mlp.down_proj"
    quantize(model, bits=4, kind="nf4", double=False, compute=torch.float32, device=CPU, keep=[kept])
    assert type(model.get_submodule(kept)) is torch.nn.Linear
    assert type(model.model.layers[0].mlp.down_proj) is not torch.nn.Linear
