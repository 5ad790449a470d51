"""A joined forward pass through Llama-shaped decoders, over the modules of the transformers model itself.

The parameters stay where transformers and PEFT put them; only the computation between them is ours. A family may use it
once ``tests/training/test_forward.py`` shows equal losses and gradients for it; every other family takes another path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tunesmith.training.documents import Layout, attend
from tunesmith.training.projection import Group, group_of, project


@dataclass
class Block:
    """One decoder layer as four groups of linear layers."""

    attention_in: Group
    attention_out: Group
    mlp_in: Group
    mlp_out: Group


class JoinedDecoder:
    """Hidden states of a joined sequence. ``base`` is the decoder inside the model (such as ``LlamaModel``)."""

    def __init__(self, base: Any) -> None:
        self.base = base
        config = base.config
        self.heads: int = config.num_attention_heads
        self.groups: int = config.num_key_value_heads
        self.size: int = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.blocks = [self._block(layer) for layer in base.layers]
        self.checkpointing = False

    def __call__(self, ids: Tensor, positions: Tensor, layout: Layout) -> Tensor:
        """Map ``ids`` and ``positions`` of (tokens,) to hidden states of (tokens, hidden), after the last norm."""
        training = self.base.training
        hidden = self.base.embed_tokens(ids)
        cos, sin = self.base.rotary_emb(hidden.unsqueeze(0), positions.unsqueeze(0))
        half = cos.shape[-1] // 2
        rotation = (cos[0, :, None, :half].contiguous(), sin[0, :, None, :half].contiguous())
        for block in self.blocks:
            if self.checkpointing and training:
                hidden = checkpoint(self._layer, block, hidden, rotation, layout, training, use_reentrant=False)
            else:
                hidden = self._layer(block, hidden, rotation, layout, training)
        final: Tensor = self.base.norm(hidden)
        return final

    def _layer(
        self, block: Block, hidden: Tensor, rotation: tuple[Tensor, Tensor], layout: Layout, training: bool
    ) -> Tensor:
        joined = project(hidden, block.attention_in, training=training)
        heads = joined.view(joined.shape[0], -1, self.size)
        query, key, value = torch.split(heads, [self.heads, self.groups, self.groups], 1)
        query, key = rotate(query, *rotation), rotate(key, *rotation)
        attended = attend(query, key, value, layout, self.size**-0.5).flatten(1)
        hidden = project(attended, block.attention_out, residual=hidden, training=training)
        gated = project(hidden, block.mlp_in, training=training)
        return project(gated, block.mlp_out, residual=hidden, training=training)

    @staticmethod
    def _block(layer: Any) -> Block:
        attention, mlp = layer.self_attn, layer.mlp
        before, after = layer.input_layernorm, layer.post_attention_layernorm
        return Block(
            group_of(
                [attention.q_proj, attention.k_proj, attention.v_proj],
                norm=before.weight,
                epsilon=before.variance_epsilon,
            ),
            group_of([attention.o_proj]),
            group_of([mlp.gate_proj, mlp.up_proj], norm=after.weight, epsilon=after.variance_epsilon),
            group_of([mlp.down_proj], gated=True),
        )


def rotate(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate (tokens, heads, size) by position; cos and sin are (tokens, 1, size / 2).

    Source: RoFormer, https://arxiv.org/abs/2104.09864, section 3.2.
    """
    result: Tensor = _Rotate.apply(heads, cos, sin)  # type: ignore[no-untyped-call]
    return result


class _Rotate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(heads, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(grads[0], cos, -sin), None, None


def _rotated(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    out = torch.empty(heads.shape, dtype=heads.dtype, device=heads.device)
    first, second = heads.chunk(2, -1)
    out_first, out_second = out.chunk(2, -1)
    torch.mul(first, cos, out=out_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out_second).addcmul_(first, sin)
    return out


def supports(base: nn.Module) -> bool:
    """Whether ``base`` has exactly the parts that ``JoinedDecoder`` computes."""
    layers = getattr(base, "layers", None)
    if not layers or not hasattr(base, "rotary_emb"):
        return False
    parts = {name for name, _ in layers[0].named_children()}
    attention = {name for name, _ in layers[0].self_attn.named_children()}
    config: Any = base.config
    return (
        parts == {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}
        and attention == {"q_proj", "k_proj", "v_proj", "o_proj"}
        and config.hidden_act == "silu"
    )
