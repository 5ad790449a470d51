"""The page of numbers behind the plan's choices: modes and model families."""

from __future__ import annotations

from scripts.reference.page import Page, Row, Section

INTRO = """
What a plan starts from where a job says nothing. `tunesmith plan` prints the value it chose, with its reason.
"""


def page() -> Page:
    """The model sizes and the modes, then the families of each modality."""
    from tunesmith.modalities import MODALITIES

    families = [_families(name) for name in MODALITIES]
    return Page("defaults", "What the plan starts from", INTRO, [_sizes(), _modes(), *families])


def _sizes() -> Section:
    from tunesmith.planning.by_size import FULL_RATE, SIZE_CLASSES

    rows = [
        Row(size.name, (str(size.rank), _rate(size.learning_rate), _rate(size.learning_rate * FULL_RATE)), "", False)
        for size in SIZE_CLASSES
    ]
    text = "Before the mode's factor on the learning rate."
    return Section("By the model's size", text, ("rank", "learning rate, LoRA", "learning rate, full"), rows)


def _rate(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-")


def _modes() -> Section:
    from tunesmith.spec.modes import ALIASES, MODES

    rows = []
    for mode in MODES.values():
        others = ", ".join(f"`{alias}`" for alias, name in ALIASES.items() if name == mode.name)
        share = f"{mode.evaluation_share:.0%} of an epoch"
        cells = (others, f"x {mode.rate:g}", f"{mode.epochs}", f"{mode.effective_batch}", share)
        rows.append(Row(mode.name, cells, mode.summary))
    text = "What `--mode` fills in; the learning rate is a factor on the one for the model's size."
    return Section("Modes", text, ("also", "learning rate", "epochs", "rows per step", "evaluated every"), rows)


def _families(modality: str) -> Section:
    from tunesmith.modalities import MODALITIES

    rows = []
    for family in MODALITIES[modality].families:
        targets = ", ".join(f"`{target}`" for target in family.targets) if family.targets else "all linear layers"
        cells = (", ".join(family.model_types), targets, f"{family.max_length:,}", family.attention)
        rows.append(Row(family.name, cells, family.note, needs_text=False))
    text = (
        "Facts about models that are built alike. Attention `documents` is the fast path for joined rows, tested to be "
        "equal for the family; `stock` is the model's own."
    )
    columns = ("model types", "adapter on", "length", "attention")
    return Section(f"Families of {modality} models", text, columns, rows)
