"""Linear layers whose frozen weights are stored in 4 or 8 bits.

For each product, forward and backward, the weights are written out in the number format of the computation and not
kept. bitsandbytes' own layers do the same while they train on a CPU; elsewhere theirs round the inputs of 8-bit layers
too, and repack 4-bit weights outside training. Here training, validation and answers compute alike on every device.

Sources: NF4, FP4 and double quantisation, https://arxiv.org/abs/2305.14314; rows of 8-bit integers with one scale
each, https://arxiv.org/abs/2208.07339.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from bitsandbytes.functional import QuantState, dequantize_4bit, dequantize_blockwise
from bitsandbytes.nn.modules import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import Tensor, nn

ROWS_AT_ONCE: Final = 1024
"""Rows of 8 bits that stand in 32 bits for a moment, at most."""


class FourBit(Linear4bit):
    """A linear layer with 16 values for a weight and a scale for every 64 of them."""

    weight: Any
    bias: Any

    def __init__(
        self, weight: Tensor, bias: nn.Parameter | None, *, kind: str, double: bool, compute: torch.dtype, device: Any
    ) -> None:
        outputs, inputs = weight.shape
        super().__init__(  # type: ignore[no-untyped-call]
            inputs, outputs, False, compute_dtype=compute, compress_statistics=double, quant_type=kind, device="meta"
        )
        parameter: Any = Params4bit(weight, requires_grad=False, compress_statistics=double, quant_type=kind)
        self.weight = parameter.to(device)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """Multiply as training does."""
        return _product(x, self)

    def matrix(self) -> Tensor:
        """Write the weights out, (outputs, inputs)."""
        return self._written(self.weight.data, self.scales(), self.out_features)

    def scales(self) -> Tensor:
        """Scale of each block, in 32 bits."""
        state = self.weight.quant_state
        if not state.nested:
            plain: Tensor = state.absmax
            return plain
        scales: Tensor = dequantize_blockwise(state.absmax, state.state2) + state.offset
        return scales

    @staticmethod
    def join(layers: Sequence[FourBit]) -> Callable[[], Tensor]:
        """Return what writes out the layers' weights one below the other; they become views of one tensor."""
        first = layers[0]
        if len(layers) == 1:
            return first.matrix
        blocksize = first.weight.quant_state.blocksize
        if any(layer.out_features * layer.in_features % blocksize for layer in layers):
            return lambda: torch.cat([layer.matrix() for layer in layers])
        packed = torch.cat([layer.weight.data for layer in layers])
        begin = 0
        for layer in layers:
            size = layer.weight.data.shape[0]
            layer.weight.data = packed[begin : begin + size]
            begin += size
        rows = sum(layer.out_features for layer in layers)
        return lambda: first._written(packed, torch.cat([layer.scales() for layer in layers]), rows)

    def _written(self, packed: Tensor, scales: Tensor, rows: int) -> Tensor:
        state = self.weight.quant_state
        count = rows * self.in_features
        # A row for each block: bitsandbytes' CPU kernel starts a new block with every row, whether one begins or not.
        shape = (1, count) if count % state.blocksize else (count // state.blocksize, state.blocksize)
        whole = QuantState(  # type: ignore[no-untyped-call]
            scales, torch.Size(shape), state.code, state.blocksize, state.quant_type, dtype=self.compute_dtype
        )
        return dequantize_4bit(packed, whole).view(rows, self.in_features)


class EightBit(Linear8bitLt):
    """A linear layer with 255 values for a weight and a scale for every row."""

    weight: Any
    bias: Any

    def __init__(self, weight: Tensor, bias: nn.Parameter | None, *, compute: torch.dtype, device: Any) -> None:
        outputs, inputs = weight.shape
        super().__init__(inputs, outputs, False, has_fp16_weights=False, device="meta")
        # What is on a GPU already would not be quantised by a move there.
        parameter: Any = Int8Params(weight.cpu(), requires_grad=False, has_fp16_weights=False)
        self.weight = parameter.to(device)
        self.weight.CB = None
        self.bias = bias
        self.compute_dtype = compute

    def forward(self, x: Tensor) -> Tensor:
        """Multiply as training does."""
        return _product(x, self)

    def matrix(self) -> Tensor:
        """Write the weights out, (outputs, inputs)."""
        return _rows_written(self.weight.data, self.scales(), self.compute_dtype)

    def scales(self) -> Tensor:
        """Largest absolute value of each row, in 32 bits."""
        # PEFT moves it when it reads the weights for the sizes of DoRA.
        scales: Any = self.weight.SCB if self.weight.SCB is not None else self.state.SCB
        found: Tensor = scales
        return found

    @staticmethod
    def join(layers: Sequence[EightBit]) -> Callable[[], Tensor]:
        """Return what writes out the layers' weights one below the other; they become views of one tensor."""
        if len(layers) == 1:
            return layers[0].matrix
        rows = torch.cat([layer.weight.data for layer in layers])
        scales = torch.cat([layer.scales() for layer in layers])
        begin = 0
        for layer in layers:
            end = begin + layer.out_features
            layer.weight.data, layer.weight.SCB = rows[begin:end], scales[begin:end]
            begin = end
        return lambda: _rows_written(rows, scales, layers[0].compute_dtype)


def _rows_written(rows: Tensor, scales: Tensor, dtype: torch.dtype) -> Tensor:
    factors = scales.unsqueeze(1).mul(1.0 / 127.0)
    written = torch.empty(rows.shape, dtype=dtype, device=rows.device)
    for part in range(0, len(rows), ROWS_AT_ONCE):
        end = part + ROWS_AT_ONCE
        # One number format at a time: a product of two formats is several times slower on a CPU.
        written[part:end] = rows[part:end].float().mul_(factors[part:end])
    return written


def _product(x: Tensor, layer: FourBit | EightBit) -> Tensor:
    product: Tensor = _Product.apply(x.flatten(0, -2), layer)  # type: ignore[no-untyped-call]
    y = product.view(*x.shape[:-1], -1)
    return y if layer.bias is None else y + layer.bias


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FourBit | EightBit) -> Tensor:
        ctx.layer = layer
        return (x.to(layer.compute_dtype) @ layer.matrix().t()).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        dy = grads[0]
        return (dy.to(ctx.layer.compute_dtype) @ ctx.layer.matrix()).to(dy.dtype), None
