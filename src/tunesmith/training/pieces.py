"""What a modality builds for the loop, which knows rows by index, batches by their counts, and no content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from tunesmith.data.token_rows import Indices, TokenRows
from tunesmith.training.device import Ranks


class Batch(Protocol):
    """Some rows, ready to compute on."""

    @property
    def tokens(self) -> int:
        """Real tokens of the rows (no padding; a shared prefix counts once for each row)."""
        ...

    @property
    def labels(self) -> int:
        """What the loss is divided by: labelled tokens, or whatever the task learns from."""
        ...


class Rows(Protocol):
    """Rows of one side of the split."""

    @property
    def lengths(self) -> Indices:
        """(rows,) tokens of each row."""
        ...

    def labels(self, rows: Sequence[int], epoch: int) -> int:
        """Count what the loss of these rows is divided by: labelled tokens, or whatever the task learns from."""
        ...

    def batch(self, rows: Sequence[int], epoch: int) -> Batch:
        """Make a batch of these rows, on the device; what is drawn at random follows from seed, epoch and row."""
        ...


class Objective(Protocol):
    """What a task asks of the model: rows as the task reads them, and what a batch of them is worth."""

    warnings: list[str]
    """What the user should know of how it is computed."""

    def rows(self, rows: TokenRows) -> Rows:
        """Make the task's rows of token rows."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """Sum of the loss over the labels of a batch, in nats; a scalar with gradient."""
        ...

    def measure(self, batch: Any) -> dict[str, float]:
        """Return sums over a batch that add up: "loss", and what ``metrics`` needs; the same names for each batch."""
        ...

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Turn the sums over all rows into what the task reports beside its mean loss, by name; may be empty."""
        ...


@runtime_checkable
class Warming(Protocol):
    """An objective that needs what stays the same for a whole run, such as what the model said before it."""

    def warm_up(self, folder: Path, earlier: Sequence[Path], beat: Callable[[], None], ranks: Ranks) -> None:
        """Compute it before the first step, and keep it in ``folder``.

        ``earlier`` are folders of runs that this one resumes, where it may lie already; the processes of ``ranks``
        share the work. The model holds the weights that the run begins with.
        """
        ...

    def is_warm(self, folder: Path, earlier: Sequence[Path]) -> bool:
        """Whether ``warm_up`` finds all that it needs in these folders, whatever weights the model holds."""
        ...


@runtime_checkable
class Joint(Protocol):
    """An objective under which the loss of a row depends on the other rows of its step, such as a contrastive one.

    A step is then computed twice: first without gradients, to know what all of its rows say, then part by part. So its
    gradient is that of the whole step, however it is divided.
    """

    def look(self, batch: Any) -> dict[str, Tensor]:
        """Return what each row of a part brings into the losses of the others: (rows, ...) each, by name."""
        ...

    def meet(self, rows: Sequence[int], seen: dict[str, Tensor]) -> None:
        """Take what all ``rows`` of a step bring, in their order; ``loss`` of its parts is asked for next."""
        ...


@runtime_checkable
class Gathering(Protocol):
    """An objective that reports figures of all rows together, which are no sums, such as a ranking."""

    def gather(self, batch: Any) -> tuple[dict[str, float], list[Any]]:
        """Return the sums of a batch, as ``measure`` does, and what each of its rows says, on the host."""
        ...

    def figures(self, said: list[Any]) -> dict[str, float]:
        """Return what is reported of all rows, in their order, beside ``metrics``; "loss" replaces the mean loss."""
        ...


def able(pieces: Any, kind: Any) -> Any:
    """Return the objective of pieces, if it can do what the protocol ``kind`` asks for; else None."""
    objective = getattr(pieces, "objective", None)
    return objective if isinstance(objective, kind) else None


class TrainingPieces(Protocol):
    """The model, its rows, and how a batch becomes a loss."""

    @property
    def model(self) -> nn.Module:
        """The model; the parameters that require a gradient are trained."""
        ...

    @property
    def train(self) -> Rows:
        """Rows to train on."""
        ...

    @property
    def validation(self) -> Rows | None:
        """Rows held out, if there are any."""
        ...

    def rows(self, rows: TokenRows) -> Rows | None:
        """Make the task's rows of further token rows, such as those of a test; before ``warm_up``.

        None where there are none that it can measure.
        """
        ...

    def warm_up(self, folder: Path, earlier: Sequence[Path], beat: Callable[[], None], ranks: Ranks) -> None:
        """Compute, before the first step, what stays the same for the whole run (see ``Warming``)."""
        ...

    def is_warm(self, folder: Path, earlier: Sequence[Path]) -> bool:
        """Whether that lies in these folders already (see ``Warming``)."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """Sum of the loss over the labels of a batch, in nats; a scalar with gradient."""
        ...

    def measure(self, batch: Any) -> dict[str, float]:
        """Return sums over a batch that add up over batches and processes: "loss", and what ``metrics`` needs."""
        ...

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        """Turn the sums over all rows into what the task reports beside its mean loss, by name; may be empty."""
        ...

    def initial_weights(self) -> dict[str, Tensor]:
        """Values of the trained parameters before the first step, by name."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model as its users load it: an adapter folder for PEFT, or a whole model folder."""
        ...
