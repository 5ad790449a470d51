"""How long a run takes, from the multiplications that it needs and what the device is known to reach."""

from __future__ import annotations

from typing import Final

from tunesmith.spec.plan import DeviceFacts, ModelFacts
from tunesmith.spec.recipe import Method, Precision

CORE_FLOPS: Final = {Precision.BF16: 0.25e12, Precision.FP32: 0.10e12}
"""Operations a second of one CPU core: fp32 with AVX-512, in matrix products; bf16 with avx512_bf16 or AMX, as far as
steps of a small model show (two cores reach 0.4e12 to 2.8e12 in products alone, and then wait for all the rest)."""
PLAIN_BF16: Final = 0.02e12
"""The same for bf16 on a CPU that has to emulate it."""
GPU_FLOPS: Final = {
    "H200": 990e12,
    "H100": 990e12,
    "A100": 312e12,
    "L40": 181e12,
    "4090": 165e12,
    "A6000": 155e12,
    "A10": 125e12,
    "3090": 71e12,
    "T4": 8e12,
}
"""Dense bf16 operations a second by a part of the GPU's name, from NVIDIA's data sheets (T4: fp32, it has no bf16)."""
OTHER_GPU: Final = 60e12
FP32_SHARE: Final = 0.15
"""Of a GPU's bf16 speed, in fp32."""
EFFICIENCY: Final = 0.45
"""Share of the matrix product's speed that training reaches."""
FORWARD: Final = 2
"""Operations per weight and token; as many again for the gradient of the inputs, and of the weights if they train."""
STARTUP: Final = 20.0
"""Seconds to import torch, load a small model and read the data."""
STEP: Final = 0.02
"""Seconds that a step takes however small the model is."""


def tokens_per_second(
    model: ModelFacts, device: DeviceFacts, *, method: Method, precision: Precision, checkpointing: bool, processes: int
) -> float:
    """Estimate the training speed of all processes together."""
    passes = (3 if method is Method.FULL else 2) + checkpointing
    return _flops(device, precision, processes) * EFFICIENCY / (FORWARD * passes * _body(model))


def seconds(
    train_tokens: float, validation_tokens: float, *, speed: float, method: Method, steps: int, evaluations: int
) -> float:
    """Estimate a run's duration; evaluating needs only the forward pass."""
    passes = 3 if method is Method.FULL else 2
    return STARTUP + STEP * steps + (train_tokens + evaluations * validation_tokens / passes) / speed


def _body(model: ModelFacts) -> int:
    """Count the weights that every token is multiplied with: all but the embedding, which may be an output head too."""
    is_head = model.tied_embeddings and model.kind == "decoder"
    return max(1, model.parameters - (0 if is_head else model.vocabulary * model.hidden))


def _flops(device: DeviceFacts, precision: Precision, processes: int) -> float:
    if device.kind == "cpu":
        emulated = precision is Precision.BF16 and not device.bf16
        return device.cores * (PLAIN_BF16 if emulated else CORE_FLOPS[precision])
    peak = next((flops for name, flops in GPU_FLOPS.items() if name in device.name), OTHER_GPU)
    return processes * peak * (FP32_SHARE if precision is Precision.FP32 else 1.0)
