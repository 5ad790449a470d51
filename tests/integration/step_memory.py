"""Measures one training step in a process of its own: python step_memory.py <vocabulary> <hidden> <layers>.

Prints the bytes by which the process grew at the peak of a step over what it held before, gradients left out: what the
step's activations and logits take.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

TOKENS = 4096


def main(vocabulary: int, hidden: int, layers: int) -> int:
    import numpy as np
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from tunesmith.training.adapters import add_adapter
    from tunesmith.training.forward import build_forward
    from tunesmith.training.joining import join
    from tunesmith.training.logits import summed_loss

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=4 * hidden, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=TOKENS, tie_word_embeddings=True,
    )  # fmt: skip
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = add_adapter(LlamaForCausalLM(config), rank=8, alpha=16, dropout=0.05, targets=targets, seed=0)
    forward = build_forward(model, attention="documents", fused=True, joined=True, checkpointing=False, length=TOKENS)
    head = model.get_base_model().get_output_embeddings().weight

    def step(rows: int, length: int) -> None:
        ids = np.random.default_rng(0).integers(0, vocabulary, (rows, length)).astype(np.int32)
        mask = np.arange(length) >= length // 2
        batch = join([(row, mask.astype(np.uint8)) for row in ids], torch.device("cpu"))
        summed_loss(forward(batch), head, batch.targets).backward()

    step(2, 32)  # What is allocated once: the gradients, and the libraries' own buffers.
    before = _memory("VmRSS")
    _forget_peak()
    step(8, TOKENS // 8)
    return _memory("VmHWM") - before


def _memory(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _forget_peak() -> None:
    """Let the kernel's high-water mark start again from what is used now (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")


if __name__ == "__main__":
    # Large blocks go back to the system as soon as they are freed, so that the mark shows what was alive at once.
    if os.environ.get("MALLOC_MMAP_THRESHOLD_") is None:
        os.environ.update(
            {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}
        )
        os.execv(sys.executable, [sys.executable, *sys.argv])
    print(main(*map(int, sys.argv[1:])))
