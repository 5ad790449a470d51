"""Subtitles."""

from __future__ import annotations

from tunesmith.api.doors.subtitles import subtitles

SEGMENTS = [
    {"start": 0.0, "end": 2.5, "text": " Please hold\nthe line."},
    {"start": 3661.0, "end": 3662.0004, "text": "A --> B"},
]


def test_subrip_numbers_its_parts_and_writes_commas() -> None:
    assert subtitles(SEGMENTS, "srt") == (
        "1\n00:00:00,000 --> 00:00:02,500\nPlease hold the line.\n\n2\n01:01:01,000 --> 01:01:02,000\nA -> B\n"
    )


def test_webvtt_begins_with_its_name() -> None:
    assert subtitles(SEGMENTS[:1], "vtt") == "WEBVTT\n\n00:00:00.000 --> 00:00:02.500\nPlease hold the line.\n"
