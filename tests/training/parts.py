"""Small real parts for the engine's tests: token rows, pieces over a tiny model, an observer that keeps folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.spec.events import Body
from tunesmith.spec.states import Request
from tunesmith.training.adapters import add_adapter, freeze_other_parts, trained_copy
from tunesmith.training.course import Course
from tunesmith.training.device import Ranks
from tunesmith.training.forward import build_forward, loss_of
from tunesmith.training.joining import TokenBatches
from tunesmith.training.loop import Loop
from tunesmith.training.loop_settings import LoopSettings, Origin
from tunesmith.training.schedules import Curve
from tunesmith.training.stopping import Judge, Thresholds

CPU = torch.device("cpu")


def token_rows(count: int = 20, *, shared: int = 4, seed: int = 0, longest: int = 60) -> TokenRows:
    """Rows of 6 to ``longest`` random tokens that begin alike; the second half of each is trained."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        length = int(random.integers(6, longest))
        ids = [*range(1, shared + 1), *(int(token) for token in random.integers(0, 256, length))]
        trained = length - length // 2
        rows.append(EncodedRow(ids, [False] * (len(ids) - trained) + [True] * trained))
    return TokenRows.of(rows)


def load_tiny(folder: Path, *, method: str = "full", dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> Any:
    """Load a tiny model; with an adapter whose second factor is not zero, so that every gradient is alive."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    freeze_other_parts(model)
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    if method == "full":
        return model
    wanted = ["c_attn", "c_proj", "query_key_value", "dense", "q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]
    there = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
    targets = [name for name in wanted if name in there]
    model = add_adapter(model, rank=4, alpha=8, dropout=dropout, targets=targets, seed=0)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1, generator=generator)
    return model


class Pieces:
    """A tiny model and its rows, as the loop wants them."""

    def __init__(
        self, model: Any, train: TokenRows, validation: TokenRows | None = None, *, attention: str = "documents"
    ) -> None:
        self.model = model
        forward = build_forward(model, attention=attention, fused=True, joined=True, checkpointing=False, length=64)
        self.forward = forward
        self.train = TokenBatches(train, CPU, joined=forward.joined, fill=0)
        self.validation = None if validation is None else TokenBatches(validation, CPU, joined=forward.joined, fill=0)
        self._initial = trained_copy(model)

    def loss(self, batch: Any) -> torch.Tensor:
        return loss_of(self.forward, self.model, batch)

    def measure(self, batch: Any) -> dict[str, float]:
        return {"loss": float(self.loss(batch))}

    def metrics(self, sums: dict[str, float], labels: int) -> dict[str, float]:
        return {}

    def initial_weights(self) -> dict[str, torch.Tensor]:
        return self._initial

    def save(self, folder: Path) -> None:
        raise AssertionError("the loop does not save results")


class Recorder:
    """Keeps what the loop tells, and its checkpoints as plain folders."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[Body] = []
        self.saved: list[tuple[int, bool, str]] = []
        self.asked: dict[int, Request] = {}
        self.step = 0
        self.folders: dict[int, Path] = {}
        self.beats: list[int] = []
        self.acknowledged: list[tuple[Request, int]] = []

    def say(self, body: Body) -> None:
        self.told.append(body)
        if body.kind == "step":
            self.step = body.step

    def beat(self, step: int) -> None:
        self.beats.append(step)

    def request(self) -> Request:
        return self.asked.pop(self.step, Request.NONE)

    def acknowledge(self, request: Request, step: int) -> None:
        self.acknowledged.append((request, step))

    def save(self, loop: Loop, *, best: bool, reason: str) -> None:
        path = self.folder / f"checkpoint-{len(self.saved)}"
        path.mkdir(parents=True)
        loop.write(path)
        self.folders[loop.progress.step] = path
        self.saved.append((loop.progress.step, best, reason))

    def checkpoint_of(self, step: int | None) -> Path | None:
        if step is None:
            return list(self.folders.values())[-1] if self.folders else None
        return self.folders.get(step)

    def of(self, kind: str) -> list[Any]:
        return [body for body in self.told if body.kind == kind]


def settings(**changes: Any) -> LoopSettings:
    """Five steps an epoch over 20 rows, two epochs, constant rate; ``changes`` may name what a part of it holds."""
    values: dict[str, Any] = {
        "seed": 1, "micro_tokens": 128, "optimizer": "adamw_torch", "learning_rate": 1e-3, "warmup_ratio": 0.0,
        "weight_decay": 0.01, "max_grad_norm": 1.0, "evaluate_every": 2, "save_every": 2,
    }  # fmt: skip
    judge = Judge(**{name: changes.pop(name) for name in ("metric", "min_delta") if name in changes})
    course: dict[str, Any] = {"batch": 4, "epochs": 2}
    curve, stops = {"name": changes.pop("schedule", "constant")}, {"patience": 100}
    for name in list(changes):
        for part, fields in ((course, Course), (stops, Thresholds)):
            if name in fields.__dataclass_fields__:
                part[name] = changes.pop(name)
        if name in Curve._fields:
            curve[name] = changes.pop(name)
    parts = {"course": Course(**course), "curve": Curve(**curve), "stops": Thresholds(**stops), "judge": judge}
    return LoopSettings(**parts | values | changes)


def make_loop(pieces: Pieces, folder: Path, *, origin: Origin | None = None, **changes: Any) -> tuple[Loop, Recorder]:
    recorder = Recorder(folder)
    return Loop(pieces, settings(**changes), recorder, CPU, Ranks(0, 1), origin), recorder


def weights_of(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: master.detach().clone() for name, master in loop.trainables}
