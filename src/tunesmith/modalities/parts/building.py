"""What the builders of all modalities share: the pieces that the loop runs on, adapters, parts that start at random."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.modalities.parts.asking import Artist, Question, Respondent
from tunesmith.spec.errors import MissingTarget
from tunesmith.spec.plan import Plan, settled
from tunesmith.training.adapters import add_adapter, trained_copy
from tunesmith.training.device import Ranks
from tunesmith.training.dropping import ATTENTION as DROPPING
from tunesmith.training.dropping import speed_up_dropout
from tunesmith.training.forward import ATTENTION, inner, speed_up_adapters
from tunesmith.training.loading import Fresh
from tunesmith.training.optimizers import statistics_of
from tunesmith.training.pieces import Objective, Rows, Warming

RENAMED: Final = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}
"""Names that some layers (of ViT, AST) have in files, and what transformers calls them once they are loaded."""


class Pieces:
    """A model, what it is to learn, and its rows."""

    def __init__(
        self,
        plan: Plan,
        model: Any,
        objective: Objective,
        sides: tuple[TokenRows, TokenRows],
        *,
        load: Callable[[str], Any],
        respondent: Respondent,
        carried: Mapping[str, Path],
        about: dict[str, Any] | None = None,
        finish: Callable[[Path], None] | None = None,
        write: Callable[[Path], None] | None = None,
        read: Callable[[Path], dict[str, Tensor]] | None = None,
        artist: Artist | None = None,
    ) -> None:
        """Make the rows of ``sides``, training and validation; ``load`` loads the model anew in a number format.

        ``carried`` are files that a result needs to be used, by their names there; ``finish`` writes what else it
        needs into its folder; ``write`` writes a result that neither PEFT nor transformers writes, and ``read`` returns
        the weights of such a one by the names that they have while they train. ``artist`` draws with the model, where
        it makes pictures.
        """
        self.plan = plan
        self.model = model
        self.objective = objective
        self.about = about or {}
        """What the result's description shall say of the task, such as its classes."""
        self.train: Rows = objective.rows(sides[0])
        self.validation: Rows | None = self.rows(sides[1])
        self._load = load
        self._respondent = respondent
        self._carried = carried
        self._finish = finish
        self._write = write
        self.read = read
        self.artist = artist
        self._adapts = settled(plan.spec.recipe.method, "recipe.method").adapts
        self._initial = trained_copy(model) if self._adapts else None

    @property
    def warnings(self) -> list[str]:
        """What the user should know of how it is computed."""
        return self.objective.warnings

    def rows(self, rows: TokenRows) -> Rows | None:
        """Make the task's rows of token rows that are held out; None where there are none that it can measure."""
        made = self.objective.rows(rows) if len(rows) else None
        return made if made is not None and len(made.lengths) else None

    def warm_up(self, folder: Path, earlier: Sequence[Path], beat: Callable[[], None], ranks: Ranks) -> None:
        """Compute what stays the same for the whole run."""
        if isinstance(self.objective, Warming):
            self.objective.warm_up(folder, earlier, beat, ranks)

    def is_warm(self, folder: Path, earlier: Sequence[Path]) -> bool:
        """Whether that lies in these folders already."""
        return not isinstance(self.objective, Warming) or self.objective.is_warm(folder, earlier)

    def questions(self, held_out: Sequence[Any], prompts: Sequence[str], count: int) -> list[Question]:
        """Choose ``count`` held-out examples to ask the model before and after training, and add the ``prompts``."""
        return self._respondent.questions(held_out, prompts, count)

    def answers(self, questions: Sequence[Question], encoder: Any, *, base: bool = False) -> list[str]:
        """Let the model, or the ``base`` under its adapter, answer."""
        with self.answering(base=base) as model:
            return self._respondent.answers(model, encoder, questions)

    @property
    def keeps_base(self) -> bool:
        """Whether the base model is still there under an adapter."""
        return self._initial is not None

    @contextmanager
    def answering(self, *, base: bool = False) -> Iterator[Any]:
        """Lend the model (or the ``base`` under its adapter) for answers: with its own attention, without gradients."""
        config = inner(self.model).config
        attention, was_training = config._attn_implementation, self.model.training
        config._attn_implementation = "sdpa" if attention in (ATTENTION, DROPPING) else attention
        try:
            with torch.no_grad(), self.model.disable_adapter() if base else nullcontext():
                yield self.model.eval()
        finally:
            config._attn_implementation = attention
            self.model.train(was_training)

    def loss(self, batch: Any) -> Tensor:
        """Sum of the loss over the labels of a batch, in nats."""
        return self.objective.loss(batch)

    def measure(self, batch: Any) -> dict[str, float]:
        """Sum what the task measures over a batch."""
        return self.objective.measure(batch)

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Turn the sums over all rows into what the task reports."""
        return self.objective.metrics(sums, labels)

    def initial_weights(self) -> dict[str, Tensor]:
        """Values of the trained parameters before the first step."""
        if self._initial is not None:
            return self._initial
        model = self._load(self.plan.model.dtype)
        return trained_copy(model) | {name: each.clone() for name, each in statistics_of(model).items()}

    def save(self, folder: Path) -> None:
        """Write an adapter folder for PEFT, or a whole model folder for transformers, or what the task writes."""
        folder.mkdir(parents=True, exist_ok=True)
        if self._write is not None:
            self._write(folder)
        elif self._adapts:
            state = trained_copy(self.model)
            self.model.peft_config["default"].base_model_name_or_path = self.plan.model.path
            # The state has all that is trained; where a head has another size than the base's, PEFT would look for
            # embeddings beside it, which a model of sounds does not have.
            self.model.save_pretrained(folder, state_dict=state, safe_serialization=True, save_embedding_layers=False)
        else:
            inner(self.model).save_pretrained(folder, state_dict=_separate(self.model.state_dict()))
        for name, source in self._carried.items():
            if source.is_file():
                shutil.copyfile(source, folder / name)
        if self._finish is not None:
            self._finish(folder)


def remembering(load: Callable[..., Fresh], fresh: list[str]) -> Callable[[str], Any]:
    """Load only the model, and note the names of what starts at random."""

    def loaded(precision: str) -> Any:
        found = load(precision=precision)
        fresh[:] = found.parts
        return found.model

    return loaded


def of_random_parts(names: Sequence[str]) -> list[str]:
    """Say which parts of a model start at random."""
    if not names:
        return []
    return [f"The model's files do not hold {', '.join(names)}: they start at random, from the seed."]


def of_cut_captions(count: int, limit: int) -> list[str]:
    """Say how many captions are longer than what a model reads."""
    if not count:
        return []
    said = f"{count} captions are" if count > 1 else "1 caption is"
    return [f"{said} longer than the {limit} tokens that the model reads: what is beyond is not read."]


def checkpointed(model: Any, plan: Plan) -> list[str]:
    """Let a model compute activations again in the backward pass where the plan says so; say if it cannot."""
    if not plan.spec.recipe.gradient_checkpointing:
        return []
    if not inner(model).supports_gradient_checkpointing:
        kind = plan.model.model_type
        return [f"A model of the kind {kind} keeps all activations: gradient checkpointing has no effect on it."]
    inner(model).gradient_checkpointing_enable({"use_reentrant": False})
    return []


def own_pass(model: Any, plan: Plan) -> None:
    """Prepare a model that runs its own pass over padded rows."""
    speed_up_adapters(model)
    speed_up_dropout(inner(model))
    if plan.spec.recipe.gradient_checkpointing:
        inner(model).gradient_checkpointing_enable({"use_reentrant": False})
        inner(model).enable_input_require_grads()


def adapted(
    model: Any,
    plan: Plan,
    *,
    peft: str | None,
    trained: Sequence[str] = (),
    whole: bool = False,
    left_out: str | None = None,
) -> Any:
    """Put the plan's adapter on; ``trained`` are modules that train as a whole beside it.

    ``peft`` is PEFT's name for what the adapter is for; ``whole`` lets it sit on what reads pictures and sounds too,
    which is left as it is otherwise, and ``left_out`` is a pattern of parts that get none even so.
    """
    if not settled(plan.spec.recipe.method, "recipe.method").adapts:
        return model
    adapter = plan.spec.recipe.adapter
    targets = settled(adapter.targets, "recipe.adapter.targets")
    known = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    targets = [target if target in known else RENAMED.get(target, target) for target in targets]
    for target in targets:
        if target not in known:
            raise MissingTarget(target, plan.model.linear_layers)
    return add_adapter(
        model,
        rank=settled(adapter.rank, "recipe.adapter.rank"),
        alpha=settled(adapter.alpha, "recipe.adapter.alpha"),
        dropout=adapter.dropout,
        targets=targets,
        seed=plan.spec.seed,
        dora=adapter.dora,
        rslora=adapter.rslora,
        task=peft,
        trained=trained,
        whole=whole,
        left_out=left_out,
    )


def _separate(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that are views of joined ones, which safetensors would refuse; tied ones stay one."""
    copies: dict[tuple[int, torch.Size], Tensor] = {}
    return {
        name: copies.setdefault((tensor.data_ptr(), tensor.shape), tensor.detach().clone())
        for name, tensor in state.items()
    }
