"""The renderer of Go templates, by what Go's documentation says of each action."""

from __future__ import annotations

import pytest

from tunesmith.worker.export.go_template import render

TURNS = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "U"},
    {"role": "assistant", "content": "A"},
]


EACH = "{{ range $i, $_ := .Messages }}%s{{ end }}"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("text", "text"),
        ("<{{ .System }}>", "<S>"),
        (EACH % "{{ $i }}{{ .Role }}={{ .Content }};", "0system=S;1user=U;2assistant=A;"),
        (EACH % '{{ if eq .Role "user" }}u{{ else if eq $i 0 }}0{{ else }}-{{ end }}', "0u-"),
        (EACH % "{{ if and $.System (eq $i 1) }}{{ $.System }}{{ end }}", "S"),
        ("{{ if not .System }}none{{ end }}x", "x"),
        ("{{ if and .System (not .System) }}never{{ else }}else{{ end }}", "else"),
    ],
)
def test_an_action_does_what_go_says(template: str, expected: str) -> None:
    assert render(template, TURNS) == expected


def test_an_empty_system_is_false() -> None:
    assert render("{{ if .System }}yes{{ else }}no{{ end }}", TURNS[1:]) == "no"
