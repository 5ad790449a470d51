"""What is said and when, as the files of subtitles that players read: SubRip (srt) and WebVTT (vtt)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal


def subtitles(segments: Sequence[Mapping[str, Any]], kind: Literal["srt", "vtt"]) -> str:
    """Write segments, each with start and end in seconds and its text."""
    mark = "," if kind == "srt" else "."
    parts = ["WEBVTT"] if kind == "vtt" else []
    for number, segment in enumerate(segments, 1):
        times = f"{_time(segment['start'], mark)} --> {_time(segment['end'], mark)}"
        text = " ".join(str(segment["text"]).split()).replace("-->", "->")
        parts.append("\n".join([*([str(number)] if kind == "srt" else []), times, text]))
    return "\n\n".join(parts) + "\n"


def _time(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, left = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{left // 1000:02d}{mark}{left % 1000:03d}"
