"""Values of a request's fields, checked one by one; every fault names its field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tunesmith.spec.errors import BadValue, NotServed, UnknownKey

STOPS: Final = 16
"""Texts that may end an answer, at most; OpenAI takes four."""
NAMES: Final = frozenset({"user", "safety_identifier", "prompt_cache_key", "metadata"})
"""Fields by which OpenAI's clients say who asks. They change no answer, there as here."""
ASKING_NOTHING: Final[Mapping[str, tuple[Any, ...]]] = {
    "logit_bias": ({},),
    "suffix": ("",),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
    "functions": (),
    "function_call": (),
}
"""OpenAI's fields for what this server does not do, and the values with which they ask for nothing."""


def refuse_unknown(body: Mapping[str, Any], known: Iterable[str], where: str = "request") -> None:
    """Refuse a key that nothing reads, and one whose value asks for something that is not done.

    Raises:
        UnknownKey: there is no such key.
        NotServed: it is OpenAI's, and has no effect here.
    """
    read = frozenset(known)
    for key, value in body.items():
        if key in ASKING_NOTHING:
            if value is not None and value not in ASKING_NOTHING[key]:
                raise NotServed(key, ASKING_NOTHING[key])
        elif key not in read:
            raise UnknownKey(key, where, read)


def flag(body: Mapping[str, Any], name: str) -> bool:
    """Read true or false; absent and null mean false."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadValue(name, value, "true or false")
    return bool(value)


def whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    """Read a whole number; None where it is left out."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadValue(name, value, f"a whole number from {low} to {high}")
    return value


def number(body: Mapping[str, Any], name: str, low: float, high: float, default: float) -> float:
    """Read a number."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadValue(name, value, f"a number from {low:g} to {high:g}")
    return float(value)


def names_of_askers(body: Mapping[str, Any]) -> None:
    """Check the fields that say who asks."""
    for name in NAMES - {"metadata"}:
        if not isinstance(body.get(name) or "", str):
            raise BadValue(name, body[name], "text")
    if not isinstance(body.get("metadata") or {}, dict):
        raise BadValue("metadata", body["metadata"], "an object")


def stops(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the texts that end an answer: one, or a list."""
    given = body.get("stop")
    if given is None:
        return ()
    texts = given if isinstance(given, list) else [given]
    if len(texts) > STOPS or not all(isinstance(text, str) and text for text in texts):
        raise BadValue("stop", given, f"a text, or a list of up to {STOPS} texts that are not empty")
    return tuple(texts)


def with_usage(body: Mapping[str, Any], *, stream: bool) -> bool:
    """Read whether a stream ends with a chunk that counts tokens."""
    options = body.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not stream:
        raise BadValue("stream_options", options, "an object beside stream: true")
    refuse_unknown(options, ("include_usage", "include_obfuscation"), "stream_options")
    if flag(options, "include_obfuscation"):
        raise NotServed("stream_options.include_obfuscation", (False,))
    return flag(options, "include_usage")
