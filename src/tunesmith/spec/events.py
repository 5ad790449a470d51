"""What a run says about itself, one line of ``events.jsonl`` each.

An event is ``{"seq": 12, "time": 1763.2, "kind": "step", ...the fields of that kind}``. ``seq`` counts from 1 without
gaps; ``time`` is in seconds since the epoch. To add a kind, add a class with its ``kind`` and put it into ``Body``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from tunesmith.spec.recipe import Part
from tunesmith.spec.states import Request


def pace(counts: str, *, tokens_per_second: float, rows_per_second: float) -> str:
    """Say how fast a run goes, in what it counts."""
    if counts == "token":
        return f"{tokens_per_second:,.0f} tokens/s"
    return f"{rows_per_second:,.{0 if rows_per_second >= 100 else 1}f} {counts}s/s"


class Phase(Part):
    """What the worker is doing before it trains, with a share from 0 to 1 where it is known."""

    kind: Literal["phase"] = "phase"
    name: str
    done: float | None = None


class Started(Part):
    """Training begins."""

    kind: Literal["started"] = "started"
    step: int
    """Steps already done (not 0 after a resume)."""
    total_steps: int | None
    """None where there is no end."""
    epochs: float | None
    rows: int
    validation_rows: int
    trainable_parameters: int
    parameters: int
    tokens_per_epoch: int
    """Real tokens (no padding) in one pass over the training rows."""
    counts: str = "token"
    """What speed is told in: token, text, picture, sound or pair."""


class Heartbeat(Part):
    """The worker lives. Written at most every 5 seconds when there is nothing else to say."""

    kind: Literal["heartbeat"] = "heartbeat"
    step: int


class Step(Part):
    """One optimizer step."""

    kind: Literal["step"] = "step"
    step: int
    epoch: float
    loss: float
    """Mean over the trained tokens of the step, in nats."""
    learning_rate: float
    grad_norm: float
    tokens: int
    """Real tokens computed in this step."""
    trained_tokens: int
    """Tokens of this step that carry a label."""
    seconds: float
    tokens_per_second: float
    """Mean over the last steps."""
    rows_per_second: float = 0.0
    """Mean over the last steps."""
    counts: str = "token"
    """What speed is told in, as when it started."""
    memory_bytes: int
    """Highest memory of the process (or the GPU) so far."""

    def pace(self) -> str:
        """Say how fast it goes: in tokens, or in pictures, sounds or pairs."""
        return pace(self.counts, tokens_per_second=self.tokens_per_second, rows_per_second=self.rows_per_second)


class Evaluated(Part):
    """One pass over the validation rows."""

    kind: Literal["evaluated"] = "evaluated"
    number: int
    """Counts from 1."""
    step: int
    epoch: float
    seconds: float
    """Since training started, all runs of a resumed job added up."""
    train_loss: float | None
    """Mean of the last 10 training losses; None before the first step."""
    validation_loss: float
    best_validation_loss: float
    """Where a metric judges, the loss of the evaluation that was best by it."""
    patience: int
    """Evaluations in a row without improvement."""
    perplexity: float | None = None
    """Only for text generation (plain text)."""
    metrics: dict[str, float] = {}
    """What else the task measures, such as accuracy."""
    judged_by: str | None = None
    """The metric that decides which weights are best; None: the validation loss."""
    best: float | None = None
    """Its best value so far; None before the first step."""


class Tested(Part):
    """The result measured on the rows kept for the end."""

    kind: Literal["tested"] = "tested"
    rows: int
    loss: float
    metrics: dict[str, float] = {}


class CheckpointSaved(Part):
    """A checkpoint is committed and verified."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    step: int
    name: str
    """Folder name under ``checkpoints/``."""
    bytes: int
    best: bool
    reason: str


class Sample(Part):
    """A held-out prompt answered before and after training."""

    kind: Literal["sample"] = "sample"
    prompt: str
    expected: str
    before: str
    after: str


class Picture(Part):
    """A picture drawn of a prompt before, during or after training; the same prompt always has the same seed."""

    kind: Literal["picture"] = "picture"
    when: Literal["before", "during", "after"]
    step: int
    prompt: str
    seed: int
    file: str
    """In the run's folder."""


class DecisionMade(Part):
    """The run changed or chose something by itself."""

    kind: Literal["decision"] = "decision"
    field: str
    value: Any
    reason: str
    numbers: dict[str, float] = {}


class Warned(Part):
    """Something the user should know."""

    kind: Literal["warning"] = "warning"
    message: str


class Prepared(Part):
    """The data is read, checked and tokenised."""

    kind: Literal["prepared"] = "prepared"
    rows: int
    faults: int
    ledger: dict[str, Any]
    """Where what was read went, by class."""
    counts: str = "token"
    """What the ledger counts: token, patch (of a picture) or frame (of a recording)."""
    cached: bool
    fingerprint: str
    """Of data, template and base weights: what a resume compares."""


class Acknowledged(Part):
    """The worker has seen a request."""

    kind: Literal["acknowledged"] = "acknowledged"
    request: Request
    step: int


class Progress(Part):
    """Something served or produced outside training (a conversion, an answer)."""

    kind: Literal["progress"] = "progress"
    message: str
    done: float | None = None


class Serving(Part):
    """A serve run is ready for requests."""

    kind: Literal["serving"] = "serving"
    socket: str


class Ended(Part):
    """The run was paused or cancelled; the last event of such a run."""

    kind: Literal["ended"] = "ended"
    request: Request
    step: int
    checkpoint: str | None


class Failed(Part):
    """The run failed, in one sentence; the last event of such a run."""

    kind: Literal["failed"] = "failed"
    code: str
    """Stable code of ``spec/errors/``, or "crash"."""
    message: str
    exit_code: int


class Finished(Part):
    """The run succeeded; the last event of such a run."""

    kind: Literal["finished"] = "finished"
    summary: dict[str, Any]
    """For a training run the keys of ``RunSummary``."""
    artifacts: str | None
    """Folder of the results inside the run folder."""


Body = (
    Phase | Started | Heartbeat | Step | Evaluated | Tested | CheckpointSaved | Sample | Picture | DecisionMade | Warned
    | Prepared | Acknowledged | Progress | Serving | Ended | Failed | Finished
)  # fmt: skip


class Event(Part):
    """A body with its place in the run's story."""

    seq: int
    time: float
    body: Annotated[Body, Field(discriminator="kind")]

    def line(self) -> str:
        """Render as the one line that stands in ``events.jsonl`` (no line end)."""
        head = f'{{"seq":{self.seq},"time":{self.time:.3f},'
        return head + self.body.model_dump_json()[1:]


_BODY: TypeAdapter[Body] = TypeAdapter(Annotated[Body, Field(discriminator="kind")])


def parse(line: str | bytes) -> Event:
    """Read one line of ``events.jsonl``; the inverse of ``Event.line``."""
    import json

    data = json.loads(line)
    return Event(seq=data.pop("seq"), time=data.pop("time"), body=_BODY.validate_python(data))


class RunSummary(Part):
    """The result of a training run: the last line of ``tunesmith train --json``."""

    run: str
    state: str
    steps: int
    epochs: float
    train_loss: float | None
    """Mean of the last 10 training losses."""
    validation_loss: float | None
    """Of the last evaluation."""
    best_validation_loss: float | None
    judged_by: str | None = None
    """The metric that decided which weights are best; None: the validation loss."""
    best: float | None = None
    """Its best value on the validation rows."""
    test_loss: float | None = None
    """On the rows that were kept for the end, where there are any."""
    test_metrics: dict[str, float] = {}
    trained_tokens: int
    tokens_per_second: float
    counts: str = "token"
    """What speed is told in: token, text, picture, sound or pair."""
    rows_per_second: float = 0.0
    """Of these, where they are not tokens."""
    peak_memory_bytes: int
    seconds: float
    output: str
    stopped_because: str
