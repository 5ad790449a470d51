"""Charts of a training run: TensorBoard event files while it runs, and one picture at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tunesmith.spec.events import Evaluated, Step


class Charts:
    """TensorBoard event files, under the tag names that transformers uses."""

    def __init__(self, folder: Path, counts: str = "token") -> None:
        """``counts`` is what speed is told in."""
        from torch.utils.tensorboard import SummaryWriter

        self._counts = counts
        self._writer = SummaryWriter(str(folder))

    def add(self, body: Step | Evaluated) -> None:
        """Add the points of one event."""
        if isinstance(body, Step):
            points = {
                "train/loss": body.loss,
                "train/learning_rate": body.learning_rate,
                "train/grad_norm": body.grad_norm,
                f"train/{self._counts}s_per_second": self._speed(body),
                "train/epoch": body.epoch,
            }
        else:
            points = {"eval/loss": body.validation_loss}
            points |= {f"eval/{name}": value for name, value in body.metrics.items()}
        for tag, value in points.items():
            self._writer.add_scalar(tag, value, body.step)

    def _speed(self, body: Step) -> float:
        return body.tokens_per_second if self._counts == "token" else body.rows_per_second

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


def draw_history(
    path: Path,
    steps: Sequence[tuple[int, float]],
    evaluations: Sequence[Sequence[float | None]],
    title: str,
    counts: str,
) -> None:
    """Draw training losses by step, and validation losses at [step, training loss, validation loss], into a PNG.

    ``counts`` is what they are means over: token, text or pair.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    _draw(figure.add_subplot(), steps, evaluations)
    figure.axes[0].set(title=title, xlabel="step", ylabel=f"loss (nats per {counts})")
    figure.savefig(path)


def _draw(axes: Any, steps: Sequence[tuple[int, float]], evaluations: Sequence[Sequence[float | None]]) -> None:
    if steps:
        axes.plot(
            [s for s, _ in steps], [loss for _, loss in steps], color="#9db4c0", lw=1, label="training, each step"
        )
    trained = [(s, loss) for s, loss, _ in evaluations if s is not None and loss is not None]
    if trained:
        axes.plot([s for s, _ in trained], [loss for _, loss in trained], color="#1f6f8b", lw=2, label="training, mean")
    held_out = [(s, loss) for s, _, loss in evaluations if s is not None and loss is not None]
    if held_out:
        axes.plot(
            [s for s, _ in held_out], [loss for _, loss in held_out], color="#d1495b", lw=2, marker="o", ms=4,
            label="validation",
        )  # fmt: skip
    axes.grid(alpha=0.25)
    if axes.lines:
        axes.legend(frameon=False)
