"""What every modality says of itself: light facts, and where its heavy parts are."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from tunesmith.spec.examples import KINDS, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import torch
    from pydantic import BaseModel

    from tunesmith.data.token_rows import EncodedRow, TokenRows
    from tunesmith.spec.examples import Message
    from tunesmith.spec.plan import Plan
    from tunesmith.spec.sampling import Sampling
    from tunesmith.training.pieces import TrainingPieces

RUNNING_TEXT: Final = frozenset({"text", "completion"})
"""Kinds that are text generation: judged by their perplexity, and more mildly, as their loss is higher than that of
answers."""


class Encoder(Protocol):
    """Turns examples into what a model reads."""

    @property
    def fingerprint(self) -> str:
        """Changes whenever the same example could be encoded to anything else."""
        ...

    def __call__(self, example: Example) -> list[EncodedRow]:
        """Encode one example, untruncated; one example may become several rows."""
        ...


class Builder(Protocol):
    """Makes, from a plan, the parts that the training loop runs on."""

    def __call__(self, plan: Plan, train: TokenRows, validation: TokenRows, device: torch.device, /) -> TrainingPieces:
        """Load the model and put it together with its rows; ``validation`` may have none."""
        ...


class Predictor(Protocol):
    """A loaded model that answers."""

    def answer(self, ids: Sequence[int], sampling: Sampling) -> Iterator[str]:
        """Yield the answer to a prompt's tokens, piece by piece."""
        ...

    def answers(self, prompts: Iterable[Sequence[Message]], sampling: Sampling) -> list[str]:
        """Answer each conversation, and leave the model in the mode that it was in."""
        ...


ModelKind = Literal[
    "decoder", "encoder", "picture", "detector", "speech", "ctc", "sound", "pair", "talker", "diffusion"
]
"""What a model is built for. decoder: writes from left to right; encoder: sees both sides of a text; picture and
sound: vectors of pictures and of sounds; detector: things in pictures; speech: writes what is said, ctc: spells it
sound by sound; pair: compares pictures with texts; talker: writes about pictures; diffusion: makes pictures."""


@dataclass(frozen=True)
class Family:
    """Models that are built alike, and what is known to be good for them."""

    name: str
    model_types: tuple[str, ...]
    """``model_type`` values of ``config.json`` that belong here."""
    kind: ModelKind
    targets: tuple[str, ...] | None
    """Linear layers that the family's documents put an adapter on; None: all linear layers; none at all: its models
    are trained whole."""
    max_length: int = 1_048_576
    """Length in tokens where neither the data nor the model's configuration settles it."""
    attention: Literal["documents", "stock"] = "stock"
    """documents: the joined-row attention path is equality-tested for the family; stock: it runs the model's own."""
    fused: bool = False
    """Whether the family's fused layers are equality-tested."""
    flash: bool = False
    """Whether the flash-attn package may compute its own attention (on a GPU, where it is installed)."""
    fp16: bool = True
    """Whether 16-bit floats of the small range are enough for it; some families overflow in them."""
    four_bit: bool = False
    """Whether its base may be stored in 4 bits."""
    eight_bit: bool = True
    """Whether its base may be stored in 8 bits."""
    templates: tuple[str, ...] = ()
    """Chat templates for its models that bring none (``family_templates.py``): the first that the tokenizer fits."""
    whole_rate: float | None = None
    """Learning rate that suits its models trained whole, in mode medium; None: the task's, or by size."""
    refusal: str = ""
    """Why its models cannot be trained here, where they cannot."""
    licence: str = ""
    """What binds whatever is made of its models, where the code that they are made of has a licence that does."""
    use: str = ""
    """How its results are used, as a sentence, where the library of the task does not open them."""
    unit_root: float | None = None
    """Of families whose models differ in size alone: ``unit_bytes`` of one is this times the root of its weights."""
    unit_bytes: int | None = None
    """Activations in 32 bits that a unit of its rows' lengths (a patch of 16 x 16 pixels, a frame) leaves behind for
    the backward pass, in bytes; None: reckoned from layers and widths, which only attention has."""


@dataclass(frozen=True)
class Task:
    """Something a modality can be trained to do."""

    name: str
    consumes: tuple[type, ...]
    """Types of example that it trains on."""
    summary: str
    builder: str
    """``module:function`` of its ``Builder``; heavy, imported by the worker alone."""
    aliases: tuple[str, ...] = ()
    models: tuple[ModelKind, ...] = ("decoder",)
    """Kinds of model that it trains (``ModelFacts.kind``)."""
    makes: ModelKind | None = None
    """What kind of model its result is, where that is not what the model was before."""
    writes: bool = True
    """Whether the result writes text, with the base's own head; else the task trains a head that fits no other."""
    does: str = "writes text"
    """What the result does instead of writing, as the end of a sentence that begins with "it"."""
    counts: Literal["token", "text", "pair", "picture", "sound"] = "token"
    """What speed is told in: rows by their name, or tokens, of which alone the loss stands for a perplexity."""
    peft: str | None = "CAUSAL_LM"
    """PEFT's name for what an adapter is for; None where it has none."""
    loader: str = "AutoModelForCausalLM"
    """The class of transformers that opens the result."""
    cuts: bool = True
    """Whether rows may be cut at a length; a picture or a recording is whole or of no use."""
    judged_by: str | None = None
    """The metric that decides which weights are best, and when patience ends; higher is better, unless it begins with
    a minus sign. None: the validation loss."""
    may_judge: tuple[str, ...] = ()
    """Other metrics of the task that may decide it where they are asked for, spelt likewise."""

    @property
    def kinds(self) -> frozenset[str]:
        """Names of the example types that it trains on."""
        return frozenset(KINDS[kind] for kind in self.consumes)


@dataclass(frozen=True)
class Modality:
    """A kind of data, and everything that can be done with it."""

    name: str
    tasks: tuple[Task, ...]
    families: tuple[Family, ...]
    """The last one stands for every model that no other names."""
    options: type[BaseModel]
    """Settings that only this modality has."""
    encoder: Callable[[Path, Any], Encoder]
    """Makes the encoder of a model folder under these options; light."""


def family_of(model_type: str, families: Sequence[Family]) -> Family:
    """Return the family that names the ``model_type``, else the last one."""
    return next((family for family in families if model_type in family.model_types), families[-1])


def load(reference: str) -> Any:
    """Import what a ``module:name`` reference means."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
