"""Linear layers that share an input, computed as one product with what stands before them, and written-out gradients.

One call covers ``[norm or SwiGLU] -> linear layers side by side, each with its low-rank adapter -> [+ residual]``.
Little is kept for the backward pass: the input, one number a row of the norm, and the small adapter activations.

Sources: LoRA, https://arxiv.org/abs/2106.09685, section 4.1; RMSNorm, https://arxiv.org/abs/1910.07467, eq. 4;
SwiGLU, https://arxiv.org/abs/2002.05202, eq. 6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.training.dropping import dropped, lost


@dataclass
class Member:
    """One linear layer of a group: rows ``begin:end`` of the joined weight, and its adapter's factors if it has one."""

    begin: int
    end: int
    down: nn.Parameter | None = None
    """Factor A, (rank, inputs)."""
    up: nn.Parameter | None = None
    """Factor B, (outputs, rank)."""
    scale: float = 1.0
    layer: Any = None
    """PEFT's layer, which may be told to compute without its adapter."""


@dataclass
class Group:
    """Linear layers that read the same input."""

    matrix: Callable[[], Tensor]
    """Gives the joined weight, (sum of outputs, inputs): kept as it is, or written out anew from 4 or 8 bits."""
    bias: Tensor | None
    members: list[Member]
    weights: list[nn.Parameter]
    """The layers' own weight parameters, in order (they receive the gradients of full fine-tuning); none if stored in
    fewer bits."""
    biases: list[nn.Parameter]
    dropout: float = 0.0
    norm: nn.Parameter | None = None
    """Weight of the RMSNorm before the group."""
    epsilon: float = 0.0
    gated: bool = False
    """Whether the input is gate and up side by side, to be joined by SwiGLU."""
    parameters: list[nn.Parameter] = field(default_factory=list)
    """Everything that may receive a gradient, in the order in which ``_Project`` takes it."""

    def __post_init__(self) -> None:
        factors = [p for m in self.members for p in (m.down, m.up) if p is not None]
        self.parameters = [*([self.norm] if self.norm is not None else []), *self.weights, *self.biases, *factors]

    @property
    def adapted(self) -> list[Member]:
        """The members that have an adapter which is switched on."""
        return [m for m in self.members if m.down is not None and not getattr(m.layer, "disable_adapters", False)]


def group_of(layers: list[Any], **options: Any) -> Group:
    """Join ``nn.Linear`` layers, or PEFT's LoRA around them, into a group; their weights become views of one tensor."""
    bases: list[Any] = [getattr(layer, "base_layer", layer) for layer in layers]
    members, begin, dropout = [], 0, 0.0
    for layer, base in zip(layers, bases, strict=True):
        member = Member(begin, begin + base.out_features)
        if "default" in getattr(layer, "lora_A", {}):
            member.down, member.up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            member.scale = float(layer.scaling["default"])
            member.layer = layer
            dropout = float(getattr(layer.lora_dropout["default"], "p", 0.0))
        members.append(member)
        begin = member.end
    if hasattr(bases[0], "join"):
        matrix, weights = bases[0].join(bases), []
    else:
        matrix, weights = _joined(bases), [base.weight for base in bases]
    biases = [base.bias for base in bases if base.bias is not None]
    bias = torch.cat([b.data for b in biases]) if biases else None
    if bias is not None:
        for member, own in zip(members, biases, strict=True):
            own.data = bias[member.begin : member.end]
    return Group(matrix, bias, members, weights, biases, dropout, **options)


def _joined(bases: list[Any]) -> Callable[[], Tensor]:
    """Return what gives the layers' weights one below the other; they become views of one tensor."""
    joined: Tensor = bases[0].weight.data
    if len(bases) > 1:
        joined = torch.cat([base.weight.data for base in bases])
    begin = 0
    for base in bases:
        base.weight.data = joined[begin : begin + base.out_features]
        begin += base.out_features
    return lambda: joined


def project(x: Tensor, group: Group, *, residual: Tensor | None = None, training: bool = True) -> Tensor:
    """Apply ``group`` to ``x`` of (tokens, inputs); returns (tokens, sum of outputs), plus ``residual`` if given."""
    dropout = group.dropout if training and group.adapted else 0.0
    result: Tensor = _Project.apply(x, residual, group, dropout, *group.parameters)  # type: ignore[no-untyped-call]
    return result


class _Project(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor | None, group: Group, dropout: float, *_: Tensor) -> Tensor:
        rstd = _rstd(x, group.epsilon) if group.norm is not None else None
        z = _before(x, rstd, group)
        y = _linear(z, group, residual)
        mask = lost(z, dropout) if dropout else None
        activations = None
        if group.adapted:
            activations = dropped(z, mask, dropout) @ _stacked(group, z.dtype).t()
            for member, rows in _slices(group):
                assert member.up is not None
                part = activations[:, rows] @ member.up.to(z.dtype).t()
                y[:, member.begin : member.end].add_(part, alpha=member.scale)
        ctx.save_for_backward(x, rstd, mask, activations)
        ctx.group, ctx.dropout, ctx.has_residual = group, dropout, residual is not None
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        x, rstd, mask, activations = ctx.saved_tensors
        group: Group = ctx.group
        dy = grads[0].contiguous()
        z = _before(x, rstd, group)
        matrix = group.matrix()
        dz = (dy.to(matrix.dtype) @ matrix).to(dy.dtype)
        del matrix
        gradients: dict[int, Tensor] = {}
        if group.adapted:
            _adapter_gradients(group, dy, z, dz, activations, mask, ctx.dropout, gradients)
        _weight_gradients(group, dy, z, gradients)
        dx = _before_backward(x, rstd, dz, group, gradients)
        own = [gradients.get(id(parameter)) for parameter in group.parameters]
        return dx, dy if ctx.has_residual else None, None, None, *own


def _linear(z: Tensor, group: Group, residual: Tensor | None) -> Tensor:
    matrix = group.matrix()
    bias = None if group.bias is None else group.bias.to(matrix.dtype)
    y = torch.nn.functional.linear(z.to(matrix.dtype), matrix, bias).to(z.dtype)
    return y if residual is None else y.add_(residual)


def _slices(group: Group) -> list[tuple[Member, slice]]:
    """Each adapted member with its columns in the joined adapter activations."""
    slices, begin = [], 0
    for member in group.adapted:
        assert member.down is not None
        end = begin + member.down.shape[0]
        slices.append((member, slice(begin, end)))
        begin = end
    return slices


def _stacked(group: Group, dtype: torch.dtype) -> Tensor:
    return torch.cat([member.down for member in group.adapted if member.down is not None]).to(dtype)


def _adapter_gradients(
    group: Group,
    dy: Tensor,
    z: Tensor,
    dz: Tensor,
    activations: Tensor,
    mask: Tensor | None,
    dropout: float,
    gradients: dict[int, Tensor],
) -> None:
    """Add the adapters' share to ``dz`` in place and collect the factors' gradients."""
    d_activations = torch.empty_like(activations)
    for member, rows in _slices(group):
        assert member.up is not None
        dy_part = dy[:, member.begin : member.end]
        up = member.up.to(z.dtype)
        torch.mul(dy_part @ up, member.scale, out=d_activations[:, rows])
        if member.up.requires_grad:
            gradients[id(member.up)] = (dy_part.t() @ activations[:, rows]).to(member.up.dtype).mul_(member.scale)
    stacked_gradient = d_activations.t() @ dropped(z, mask, dropout)
    for member, rows in _slices(group):
        if member.down is not None and member.down.requires_grad:
            gradients[id(member.down)] = stacked_gradient[rows].to(member.down.dtype)
    through = d_activations @ _stacked(group, z.dtype)
    dz.add_(through if mask is None else dropped(through, mask, dropout))


def _weight_gradients(group: Group, dy: Tensor, z: Tensor, gradients: dict[int, Tensor]) -> None:
    """Gradients of the layers' own weights: full fine-tuning."""
    if any(weight.requires_grad for weight in group.weights):
        joined = dy.t() @ z
        for weight, member in zip(group.weights, group.members, strict=True):
            if weight.requires_grad:
                gradients[id(weight)] = joined[member.begin : member.end]
    for bias, member in zip(group.biases, group.members, strict=bool(group.biases)):
        if bias.requires_grad:
            gradients[id(bias)] = dy[:, member.begin : member.end].sum(0)


def _before(x: Tensor, rstd: Tensor | None, group: Group) -> Tensor:
    """What stands before the linear layers: RMSNorm, SwiGLU or nothing."""
    if group.norm is not None:
        assert rstd is not None
        return (x * rstd).to(x.dtype).mul_(group.norm)
    if group.gated:
        gate, up = x.chunk(2, -1)
        return torch.nn.functional.silu(gate).mul_(up)
    return x


def _rstd(x: Tensor, epsilon: float) -> Tensor:
    """1 / root of the mean square of each row, in 32 bits; (tokens, 1)."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
    return norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()


def _before_backward(x: Tensor, rstd: Tensor | None, dz: Tensor, group: Group, gradients: dict[int, Tensor]) -> Tensor:
    if group.norm is not None:
        assert rstd is not None
        normed = x * rstd
        if group.norm.requires_grad:
            gradients[id(group.norm)] = (dz * normed).sum(0).to(group.norm.dtype)
        scaled = dz * group.norm
        mean = (scaled * normed).mean(-1, keepdim=True, dtype=torch.float32)
        return normed.mul_(mean).neg_().add_(scaled).mul_(rstd).to(x.dtype)
    if group.gated:
        gate, up = x.chunk(2, -1)
        sigmoid = torch.sigmoid(gate)
        silu = gate * sigmoid
        dx = torch.empty_like(x)
        d_gate, d_up = dx.chunk(2, -1)
        torch.mul(dz, silu, out=d_up)
        # d silu = sigmoid + silu * (1 - sigmoid)
        slope = torch.addcmul(sigmoid, silu, 1 - sigmoid)
        torch.mul(dz.mul_(up), slope, out=d_gate)
        return dx
    return dz
