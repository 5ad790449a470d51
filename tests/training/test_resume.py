"""Stopped and resumed in one process: every update rule over every kind of base ends with the same weights."""

import pytest
import torch

from training.parts import CPU, Pieces, load_tiny, make_loop, token_rows, weights_of
from tunesmith.spec.recipe import Method, Optimizer
from tunesmith.spec.states import Request
from tunesmith.training.adapters import add_adapter
from tunesmith.training.quantization import quantize

METHODS = [Method.LORA, Method.QLORA, Method.LORA_8BIT, Method.FULL]


def fresh(folder, method, dtype=torch.float32):
    if method is Method.FULL:
        return Pieces(load_tiny(folder, dtype=dtype), token_rows())
    model = load_tiny(folder, dtype=dtype)
    if method.bits:
        quantize(model, bits=method.bits, kind="nf4", double=True, compute=dtype, device=CPU)
    # Wide enough for 8-bit optimizers, which keep small tensors in 32 bits, to keep 8.
    targets = ["q_proj", "v_proj", "gate_proj", "up_proj"]
    return Pieces(add_adapter(model, rank=128, alpha=8, dropout=0.1, targets=targets, seed=0), token_rows())


@pytest.mark.parametrize("optimizer", [each.value for each in Optimizer])
@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(method, optimizer, tiny_model, tmp_path):
    changes = {"optimizer": optimizer, "max_steps": 5, "learning_rate": 3e-3}
    straight, _ = make_loop(fresh(tiny_model, method), tmp_path / "straight", **changes)
    before = weights_of(straight)
    straight.run()
    expected = weights_of(straight)
    assert any(not torch.equal(before[name], expected[name]) for name in expected)

    first, kept = make_loop(fresh(tiny_model, method), tmp_path / "first", **changes)
    kept.asked = {3: Request.PAUSE}
    assert first.run() == "pause"
    kept.save(first, best=False, reason="paused")
    second, _ = make_loop(fresh(tiny_model, method), tmp_path / "second", **changes)
    second.resume(kept.folders[3])
    second.run()
    resumed = weights_of(second)
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)


@pytest.mark.parametrize("optimizer", ["adamw_bnb_8bit", "paged_adamw_8bit"])
def test_8_bit_optimizers_keep_8_bits_over_a_checkpoint(optimizer, tiny_model, tmp_path):
    loop, kept = make_loop(fresh(tiny_model, Method.LORA), tmp_path, optimizer=optimizer, max_steps=2)
    loop.run()
    again, _ = make_loop(fresh(tiny_model, Method.LORA), tmp_path / "again", optimizer=optimizer, max_steps=2)
    again.resume(kept.folders[2])
    large = [state for state in again.optimizer.state.values() if state["state1"].numel() >= 4096]
    assert large
    assert all(state["state1"].dtype == torch.uint8 and state["step"] == 2 for state in large)
