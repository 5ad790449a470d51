"""What is shown to models of pictures and sounds: the bodies of such requests, checked.

A body is JSON; pictures and recordings are base64 in it. Which options a model reads depends on what it does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.modalities.folders import Use
from tunesmith.spec.errors import BadValue, ContentTooLarge, NotServed
from tunesmith.worker.serving.fields import flag, number, refuse_unknown, whole
from tunesmith.worker.serving.requests import text_or_none

MOST_BYTES: Final = 25_000_000
"""Bytes of one picture or recording, at most; OpenAI takes as many of a recording."""
MOST_LABELS: Final = 1000
"""Texts that a picture is compared with, at most."""
LONGEST_TEXT: Final = 100_000
"""Characters of a text that comes with a picture."""
OWN: Final = frozenset({"adapter", "served_as"})
"""Fields that the pool adds."""

Read = Callable[[Mapping[str, Any], str], Any]


def _number(low: float, high: float) -> Read:
    return lambda body, name: None if body.get(name) is None else number(body, name, low, high, default=low)


def _whole(low: int, high: int) -> Read:
    return lambda body, name: whole(body, name, low, high)


_TOP: Final = {"top_k": _whole(1, 1000)}
_DRAWN: Final[dict[str, Read]] = {
    "max_tokens": _whole(1, 1_048_576),
    "temperature": _number(0, 2),
    "seed": _whole(-(2**63), 2**63 - 1),
}
_TIMES: Final[dict[str, Read]] = {"times": lambda body, name: flag(body, name) or None}
OPTIONS: Final[dict[str, dict[str, Read]]] = {
    "picture": _TOP,
    "sound": _TOP,
    "detector": {"threshold": _number(0, 1)},
    "speech": {"language": text_or_none, **_TIMES},
    "ctc": _TIMES,
    "pair": {},
    "talker": _DRAWN,
    "diffusion": {},
}
"""What models of a kind read beside what they are shown."""
KNOWN: Final = frozenset(name for options in OPTIONS.values() for name in options)


@dataclass(frozen=True)
class Shown:
    """Something to look at or to listen to, with what is asked about it."""

    content: bytes | None
    name: str
    text: str | None
    labels: tuple[str, ...]
    """Texts that a picture is compared with."""
    options: dict[str, Any]
    served_as: str | None


@dataclass(frozen=True)
class Drawing:
    """Pictures that somebody wants."""

    prompt: str
    n: int
    options: dict[str, Any]
    """negative_prompt, steps, guidance, size and seed, as far as they are said."""
    served_as: str | None


def read_shown(body: Mapping[str, Any], use: Use) -> Shown:
    """Check the body of a request to a model that is used so.

    Raises:
        TunesmithError: an unknown key, a wrong value, or an option that this model does not read.
    """
    refuse_unknown(body, KNOWN | OWN | {"content", "name", "text", "labels"})
    read = OPTIONS[use.kind]
    for name in KNOWN - read.keys():
        if body.get(name) is not None:
            raise NotServed(name, ())
    given = {name: reader(body, name) for name, reader in read.items()}
    text, labels = text_or_none(body, "text"), _labels(body.get("labels"))
    if text is not None and (use.kind not in ("talker", "pair") or not 0 < len(text) <= LONGEST_TEXT):
        what = f"up to {LONGEST_TEXT:,} characters" if use.kind in ("talker", "pair") else "left out for this model"
        raise BadValue("text", text[:80], what)
    if labels and use.kind != "pair":
        raise NotServed("labels", ())
    return Shown(
        content=_content(body.get("content")),
        name=text_or_none(body, "name") or "file",
        text=text,
        labels=labels,
        options={name: value for name, value in given.items() if value is not None},
        served_as=text_or_none(body, "served_as"),
    )


def read_drawing(body: Mapping[str, Any]) -> Drawing:
    """Check the body of a request for pictures.

    Raises:
        TunesmithError: an unknown key or a wrong value.
    """
    refuse_unknown(body, OWN | {"prompt", "negative_prompt", "n", "width", "height", "steps", "guidance", "seed"})
    prompt = text_or_none(body, "prompt")
    if not prompt or len(prompt) > LONGEST_TEXT:
        raise BadValue("prompt", (prompt or "")[:80], f"1 to {LONGEST_TEXT:,} characters")
    sides = [whole(body, name, 8, 4096) for name in ("width", "height")]
    if (sides[0] is None) != (sides[1] is None) or any(side is not None and side % 8 for side in sides):
        raise BadValue("size", "x".join(map(str, sides)), "width and height, multiples of 8")
    said: dict[str, Any] = {
        "negative_prompt": text_or_none(body, "negative_prompt"),
        "steps": whole(body, "steps", 1, 1000),
        "guidance": None if body.get("guidance") is None else number(body, "guidance", 0, 100, default=7.5),
        "size": None if sides[0] is None else (sides[0], sides[1]),
        "seed": whole(body, "seed", 0, 2**63 - 1),
    }
    options = {name: value for name, value in said.items() if value is not None}
    return Drawing(prompt, whole(body, "n", 1, 10) or 1, options, text_or_none(body, "served_as"))


def _content(given: Any) -> bytes | None:
    """Decode what is shown.

    Raises:
        BadValue: it is no base64.
        ContentTooLarge: it is more than a model is shown.
    """
    if given is None:
        return None
    if not isinstance(given, str):
        raise BadValue("content", given, "base64")
    if len(given) > MOST_BYTES * 4 // 3 + 4:
        raise ContentTooLarge(MOST_BYTES)
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raise BadValue("content", given[:20], "base64") from None


def _labels(given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    fine = isinstance(given, list) and 0 < len(given) <= MOST_LABELS
    if not fine or not all(isinstance(each, str) and 0 < len(each) <= 1000 for each in given):
        raise BadValue("labels", given, f"a list of 1 to {MOST_LABELS:,} texts")
    return tuple(given)
