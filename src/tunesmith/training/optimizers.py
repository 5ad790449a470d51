"""Update rules over 32-bit master copies of the trained weights. A new optimizer is one entry in ``BUILDERS``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

Groups = list[dict[str, Any]]
"""Parameters in groups, each with its weight decay."""
BETAS: Final = (0.9, 0.999)
EPSILON: Final = 1e-8


def _adamw(groups: Groups, rate: float) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=rate, betas=BETAS, eps=EPSILON, fused=True)


def _adamw_8bit(groups: Groups, rate: float) -> torch.optim.Optimizer:
    from bitsandbytes.optim.adamw import AdamW8bit

    optimizer: torch.optim.Optimizer = AdamW8bit(  # type: ignore[no-untyped-call]
        groups, lr=rate, betas=BETAS, eps=EPSILON
    )
    return optimizer


def _paged_adamw_8bit(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Page the state out to the host where a GPU runs short; on a CPU there is nowhere to page it to."""
    from bitsandbytes.optim.adamw import PagedAdamW8bit

    if groups[0]["params"][0].device.type == "cpu":
        return _adamw_8bit(groups, rate)
    optimizer: torch.optim.Optimizer = PagedAdamW8bit(  # type: ignore[no-untyped-call]
        groups, lr=rate, betas=BETAS, eps=EPSILON
    )
    return optimizer


def _adafactor(groups: Groups, rate: float) -> torch.optim.Optimizer:
    """Take transformers' own: torch's multiplies the rate by the size of the weights, zero in a new adapter."""
    from transformers.optimization import Adafactor

    return Adafactor(  # type: ignore[no-untyped-call]
        groups, lr=rate, scale_parameter=False, relative_step=False, warmup_init=False
    )


BUILDERS: Final[dict[str, Callable[[Groups, float], torch.optim.Optimizer]]] = {
    "adamw_torch": _adamw,
    "adamw_bnb_8bit": _adamw_8bit,
    "paged_adamw_8bit": _paged_adamw_8bit,
    "adafactor": _adafactor,
}


class Trainables:
    """The trained parameters, a 32-bit master copy of each, and the gradient of the step so far.

    Small updates would be rounded away in 16 bits, so the optimizer works on the masters; a parameter that has 32 bits
    is its own master. A master starts from the numbers of the model's files, which a parameter carries as ``stored``
    where it was rounded. Gradients of a micro-batch count only once its backward pass is complete (``collect``), so
    that a pass that ran out of memory half-way can be repeated.
    """

    def __init__(self, model: nn.Module) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.statistics = statistics_of(model)
        self.parameters = [p for _, p in named]
        self.masters: list[Tensor] = [_master(parameter) for parameter in self.parameters]
        for master in self.masters:
            master.requires_grad_(True)
        self._sums: list[Tensor | None] = [None] * len(named)

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(zip(self.names, self.masters, strict=True))

    @property
    def count(self) -> int:
        """Number of trained numbers."""
        return sum(p.numel() for p in self.parameters)

    def discard(self) -> None:
        """Forget the gradients of a pass that was not completed."""
        for parameter in self.parameters:
            parameter.grad = None

    def collect(self) -> None:
        """Add the gradients of a completed pass to those of the step."""
        for i, parameter in enumerate(self.parameters):
            grad, parameter.grad = parameter.grad, None
            if grad is None:
                continue
            held = self._sums[i]
            self._sums[i] = grad.float() if held is None else held.add_(grad)

    def gradients(self) -> list[Tensor]:
        """Return the gradients of the step; zeros where nothing reached a parameter."""
        for i, master in enumerate(self.masters):
            if self._sums[i] is None:
                self._sums[i] = torch.zeros_like(master, requires_grad=False)
        return [grad for grad in self._sums if grad is not None]

    def unscale(self, factor: float) -> None:
        """Divide the gradients of the step by what the loss was multiplied by."""
        if factor != 1:
            for grad in self.gradients():
                grad.mul_(1 / factor)

    def sick(self) -> str | None:
        """Return the name of the first parameter whose gradient is not a number."""
        return _not_finite(zip(self.names, self.gradients(), strict=True))

    def broken(self) -> str | None:
        """Return the name of the first parameter that is not a number itself."""
        return _not_finite(self)

    def reset(self) -> None:
        """Begin a step with no gradient."""
        self._sums = [None] * len(self.parameters)

    def apply(self, optimizer: torch.optim.Optimizer) -> None:
        """Make one optimizer step with the gradients of the step and copy the masters back."""
        for master, grad in zip(self.masters, self.gradients(), strict=True):
            master.grad = grad
        optimizer.step()
        for master in self.masters:
            master.grad = None
        self.reset()
        self.publish()

    def publish(self) -> None:
        """Copy the masters into the model's own parameters where those have fewer bits."""
        with torch.no_grad():
            for parameter, master in zip(self.parameters, self.masters, strict=True):
                if parameter is not master:
                    parameter.copy_(master)

    def load(self, weights: dict[str, Tensor]) -> None:
        """Copy values in, never assigning tensors: where a tensor lies in memory decides the last bit of a product."""
        with torch.no_grad():
            for name, master in self:
                master.copy_(weights[name])
            for name, buffer in self.statistics.items():
                if name in weights:
                    buffer.copy_(weights[name])
        self.publish()


def statistics_of(model: nn.Module) -> dict[str, Tensor]:
    """Return what batch normalisation has seen so far, by name: training changes it as it does weights."""
    layers = ((name, part) for name, part in model.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm))
    return {f"{name}.{kind}": buffer for name, layer in layers for kind, buffer in layer.named_buffers(recurse=False)}


def _not_finite(named: Iterable[tuple[str, Tensor]]) -> str | None:
    return next((name for name, values in named if not bool(torch.isfinite(values).all())), None)


def _master(parameter: nn.Parameter) -> Tensor:
    if parameter.dtype == torch.float32:
        return parameter
    stored: Tensor | None = parameter.__dict__.pop("stored", None)
    return parameter.detach().float().clone() if stored is None else stored


def build_optimizer(
    trainables: Trainables, *, name: str, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build the update rule ``name``; matrices decay, vectors (norms, biases) do not."""
    matrices = [m for m in trainables.masters if m.ndim >= 2]
    vectors = [m for m in trainables.masters if m.ndim < 2]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return BUILDERS[name]([group for group in groups if group["params"]], learning_rate)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(gradients: list[Tensor], limit: float) -> float:
    """Scale gradients in place to a norm of at most ``limit``; return the norm they had (NaN or Inf as it comes)."""
    if not gradients:
        return 0.0
    norms = torch.stack([grad.norm(dtype=torch.float32) for grad in gradients])
    norm = float(norms.norm())
    if norm > limit and norm < float("inf"):
        for grad in gradients:
            grad.mul_(limit / (norm + 1e-6))
    return norm
