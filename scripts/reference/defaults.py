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


def _families(modality: str) -> Section:
    from tunesmith.modalities import MODALITIES
    from tunesmith.modalities.family_templates import FAMILY_TEMPLATES

    rows = []
    for family in MODALITIES[modality].families:
        targets = ", ".join(f"`{target}`" for target in family.targets) if family.targets else "all linear layers"
        bits = "4, 8" if family.four_bit else "8"
        formats = "bf16, fp16, fp32" if family.fp16 else "bf16, fp32"
        flash = "yes" if family.flash else "no"
        templates = ", ".join(FAMILY_TEMPLATES[name].title for name in family.templates)
        cells = (
            ", ".join(family.model_types), family.kind, targets, f"{family.max_length:,}", family.attention, flash,
            formats, bits, templates,
        )  # fmt: skip
        rows.append(Row(family.name, cells, _refusal(family.refusal), needs_text=False))
    text = (
        "Facts about models that are built alike. Attention `documents` is the fast path for joined rows, tested to be "
        "equal for the family; `stock` is the model's own, which the flash-attn package may compute on a GPU where "
        "`flash` says yes. A model without a chat template takes the first of the family's that its tokenizer fits."
    )
    columns = ("model types", "kind", "adapter on", "length", "attention", "flash", "formats", "bits", "templates")
    return Section(f"Families of {modality} models", text, columns, rows)


def _refusal(reason: str) -> str:
    return f"Not trained here: {reason}." if reason else ""
