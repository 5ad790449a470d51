"""The page of numbers behind the plan's choices: sizes, modes, tasks and model families."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scripts.reference.page import Page, Row, Section
from tunesmith.modalities.base import Family

INTRO = """
What a plan starts from where a job says nothing. `tunesmith plan` prints the value it chose, with its reason.
"""


def page() -> Page:
    """The model sizes, the modes and the tasks, then the families of each modality."""
    from tunesmith.modalities import MODALITIES

    families = [_families(name) for name in MODALITIES]
    return Page("defaults", "What the plan starts from", INTRO, [_sizes(), _modes(), _tasks(), *families])


def _sizes() -> Section:
    from tunesmith.planning.by_size import FULL_RATE, SIZE_CLASSES

    rows = [
        Row(size.name, (str(size.rank), _rate(size.learning_rate), _rate(size.learning_rate * FULL_RATE)), "", False)
        for size in SIZE_CLASSES
    ]
    text = "Before the mode's factor on the learning rate."
    return Section("By the model's size", text, ("rank", "learning rate, LoRA", "learning rate, full"), rows)


def _rate(value: float) -> str:
    return f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")


def _modes() -> Section:
    from tunesmith.spec.modes import ALIASES, CIRCULAR, MODES

    rows = []
    for mode in MODES.values():
        others = ", ".join(f"`{alias}`" for alias, name in ALIASES.items() if name == mode.name)
        share = f"{mode.evaluation_share:.0%} of an epoch"
        epochs = "no end" if mode.epochs is None else f"{mode.epochs}"
        epochs = "its cycles" if mode.name == CIRCULAR else epochs
        cells = (others, f"x {mode.rate:g}", epochs, f"{mode.effective_batch}", share, f"`{mode.schedule}`")
        rows.append(Row(mode.name, cells, mode.summary))
    text = "What `--mode` fills in; the learning rate is a factor on the one for the model's size."
    columns = ("also", "learning rate", "epochs", "rows per step", "evaluated every", "schedule")
    return Section("Modes", text, columns, rows)


def _tasks() -> Section:
    from tunesmith.modalities import task_of
    from tunesmith.planning.by_task import BY_TASK

    rows = []
    for name, usual in BY_TASK.items():
        factor = f"x {usual.rate:g}" if usual.rate != 1 else ""
        cells = (
            f"x {usual.epochs:.3g}" if usual.epochs != 1 else "",
            _open(usual.effective_batch),
            factor or _open(usual.base_rate, _rate),
            factor or _open(usual.whole_rate, _rate),
            _open(usual.patience),
            task_of(name).judged_by or "loss",
        )
        rows.append(Row(name, cells, "", needs_text=False))
    text = (
        "How tasks depart from chat tuning; what is empty is as by size and mode. Rates are those of mode medium. A "
        "family that has a rate of its own, below, takes that where every weight is trained. The page on planning has "
        "the reasons."
    )
    columns = ("epochs", "rows per step", "learning rate, LoRA", "learning rate, full", "patience", "judged by")
    return Section("Tasks", text, columns, rows)


def _open(value: Any, write: Callable[[Any], str] = str) -> str:
    return "" if value is None else write(value)


def _families(modality: str) -> Section:
    from tunesmith.modalities import MODALITIES
    from tunesmith.modalities.family_templates import FAMILY_TEMPLATES

    rows = []
    for family in MODALITIES[modality].families:
        targets = _targets(family.targets)
        bits = ", ".join(bits for bits, able in (("4", family.four_bit), ("8", family.eight_bit)) if able)
        formats = "bf16, fp16, fp32" if family.fp16 else "bf16, fp32"
        flash = "yes" if family.flash else "no"
        templates = ", ".join(FAMILY_TEMPLATES[name].title for name in family.templates)
        cells = (
            ", ".join(family.model_types), family.kind, targets, _length(family.max_length), family.attention, flash,
            formats, bits if family.targets != () else "", _open(family.whole_rate, _rate), templates,
        )  # fmt: skip
        rows.append(Row(family.name, cells, _refusal(family.refusal), needs_text=False))
    text = (
        "Facts about models that are built alike. Attention `documents` is the fast path for joined rows, tested to be "
        "equal for the family; `stock` is the model's own, which the flash-attn package may compute on a GPU where "
        "`flash` says yes. A model without a chat template takes the first of the family's that its tokenizer fits."
    )
    columns = (
        "model types", "kind", "adapter on", "length", "attention", "flash", "formats", "bits", "rate, full",
        "templates",
    )  # fmt: skip
    return Section(f"Families of {modality} models", text, columns, rows)


def _targets(targets: tuple[str, ...] | None) -> str:
    if targets is None:
        return "all linear layers"
    return ", ".join(f"`{target}`" for target in targets) or "none: trained whole"


def _length(tokens: int) -> str:
    """Write a length; one that no model reaches is none."""
    return f"{tokens:,}" if tokens < Family.max_length else "any"


def _refusal(reason: str) -> str:
    return f"Not trained here: {reason}." if reason else ""
