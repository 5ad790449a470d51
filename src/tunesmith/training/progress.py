"""Where a run stands: the few numbers from which, with the seed, everything else about its place follows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tunesmith.training.precision import STEPS_TO_GROW
from tunesmith.training.stopping import LOSSES, Evaluation

FILE: Final = "progress.json"


@dataclass
class Progress:
    """Where training stands; order of rows and random numbers follow from seed, step and place."""

    step: int = 0
    """Optimizer steps done, those of a run whose state is continued included."""
    base: int = 0
    """Step at which this job began: not 0 where it continues another run's state."""
    epoch: int = 0
    """Whole passes over the training rows."""
    place: int = 0
    """Rows taken in the pass under way."""
    batch: int = 0
    """Rows of a step as it is now."""
    clock: float = 0.0
    """Place on the learning rate's schedule, in steps of the batch that the run began with."""
    clock_base: float = 0.0
    """Place on the schedule at which this job began."""
    warmup: int | None = None
    """Steps over which the learning rate rises, or rose in the run whose state is continued."""
    landing: int | None = None
    """Step at which the last, falling part of a run without end began."""
    limit: int | None = None
    """Step at which that run was to have landed by then; None without a limit."""
    tokens: int = 0
    """Real tokens computed."""
    trained_tokens: int = 0
    seconds: float = 0.0
    """Time spent, over all runs of a resumed job."""
    losses: list[float] = field(default_factory=list)
    """Last 10 training losses."""
    evaluations: int = 0
    start_loss: float | None = None
    """Validation loss before the first step."""
    validation_loss: float | None = None
    best_loss: float | None = None
    """Validation loss of the best evaluation."""
    best: float | None = None
    """What that was judged by: a metric of the task, or the loss; None also where it could not be measured."""
    best_step: int | None = None
    waited: int = 0
    """Evaluations in a row without improvement."""
    stopped: str | None = None
    """Why training stopped before its last step."""
    total: int | None = None
    """Step at which the run was to end."""
    history: list[list[float | None]] = field(default_factory=list)
    """One [step, training loss, validation loss] for each evaluation."""
    window: int = 0
    """Place in ``history`` from which trends are read: what came before a change says nothing about after it."""
    micro_tokens: int = 0
    """Most tokens computed at once: the plan's, or what an out-of-memory taught."""
    rate_factor: float = 1.0
    """Halved when the run went back after a loss that was not a number."""
    pace: float = 1.0
    """Factor on the learning rate that mode adaptive has come to."""
    recoveries: int = 0
    """How often the run went back."""
    loss_scale: float = 1.0
    """What the loss is multiplied by before the backward pass (fp16)."""
    scaled_steps: int = 0
    """Steps since that changed."""

    @classmethod
    def read(cls, folder: Path) -> Progress:
        """Read what a checkpoint holds."""
        return cls(**json.loads((folder / FILE).read_text()))

    def write(self, folder: Path) -> None:
        """Write it into a checkpoint."""
        (folder / FILE).write_text(json.dumps(asdict(self)))

    def advance(self, rows: int, taken: int, *, clock: float) -> None:
        """Count a step that took ``taken`` of ``rows`` rows and moved the schedule on by ``clock``."""
        self.step += 1
        self.clock += clock
        self.place += taken
        if self.place >= rows:
            self.epoch, self.place = self.epoch + 1, 0

    def scale_up(self) -> None:
        """Count a step without an overflow; after many of them the loss is scaled higher."""
        if self.loss_scale == 1:
            return
        self.scaled_steps += 1
        if self.scaled_steps >= STEPS_TO_GROW:
            self.loss_scale, self.scaled_steps = self.loss_scale * 2, 0

    def scale_down(self) -> bool:
        """Scale the loss lower; False where it is not scaled, so that this is not what makes a gradient overflow."""
        if self.loss_scale == 1:
            return False
        self.loss_scale, self.scaled_steps = self.loss_scale / 2, 0
        return True

    def remember(self, loss: float) -> None:
        """Keep the newest training losses."""
        self.losses = [*self.losses[1 - LOSSES :], loss]

    @property
    def train_loss(self) -> float | None:
        """Mean of the last 10 training losses."""
        return sum(self.losses) / len(self.losses) if self.losses else None

    @property
    def judged(self) -> list[Evaluation]:
        """The evaluations since the last change."""
        return [
            Evaluation(int(step or 0), train_loss, loss)
            for step, train_loss, loss in self.history[self.window :]
            if loss is not None
        ]
