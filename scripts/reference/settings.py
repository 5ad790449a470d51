"""The page of tunesmith's own settings."""

from __future__ import annotations

from scripts.reference.fields import leaves, row
from scripts.reference.page import Page, Section

INTRO = """
How tunesmith itself behaves, whatever the job. `tunesmith config show` prints each value and where it comes from.
"""


def page() -> Page:
    """Every field of ``Settings`` with its variable."""
    import tunesmith.settings as module

    prefix = str(module.Settings.model_config.get("env_prefix", ""))
    rows = [row(name, field, f"`{(prefix + name).upper()}`") for name, field in leaves(module.Settings)]
    text = (module.__doc__ or "").partition("\n\nTo add one")[0]
    return Page("settings", "Settings", INTRO, [Section("All settings", text, ("variable", "value", "default"), rows)])
