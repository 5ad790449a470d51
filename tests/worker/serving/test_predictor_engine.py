"""Models of pictures and sounds behind a socket: each is asked in its own ways, one request after another."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tunesmith.modalities.base import ModelKind
from tunesmith.modalities.folders import Use
from tunesmith.spec.errors import (
    AskedOtherwise,
    BadValue,
    NotServed,
    ServerBusy,
    TunesmithError,
    UnknownKey,
    UnreadableContent,
    UnreadableMedia,
    Where,
)
from tunesmith.spec.examples import PICTURE_MARK as MARK
from tunesmith.worker.serving.endpoints import ENDPOINTS, Completion
from tunesmith.worker.serving.predictor_engine import PredictorEngine

CHAT, EMBED, PREDICT = "/v1/chat/completions", "/v1/embeddings", "/predict"
HEAR, DRAW = "/v1/audio/transcriptions", "/v1/images/generations"
SENT = base64.b64encode(b"content").decode()
MODALITY = {"picture": "vision", "detector": "vision", "sound": "audio", "speech": "audio", "ctc": "audio",
            "pair": "multimodal", "talker": "multimodal", "diffusion": "diffusion"}  # fmt: skip


ENDLESS = 12345
"""Tokens of an answer that only ends when nobody waits for it."""


class Scripted:
    """Says what it was shown."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.asked: list[tuple[Any, ...]] = []

    def predict(self, *shown: Any, **options: Any) -> dict[str, Any]:
        self.begun.set()
        self.go.wait(10)
        self.asked.append((*shown, options))
        if shown[0] == b"broken":
            raise UnreadableMedia(Where("x", 1), "x", "it is truncated")
        return {"text": f"{shown}"}

    def chat(self, *shown: Any, stopped: Callable[[], bool], **options: Any) -> dict[str, Any]:
        found = self.predict(*shown, **options)
        while options.get("max_tokens") == ENDLESS and not stopped():
            time.sleep(0.01)
        return {**found, "prompt_tokens": 5, "tokens": 3, "finish_reason": "length"}

    def generate(self, prompt: str, **options: Any) -> list[bytes]:
        self.asked.append((prompt, options))
        return [b"png"] * options["n"]

    def embed_text(self, texts: list[str]) -> list[list[float]]:
        return [[3.0, 4.0] for _ in texts]


@pytest.fixture
def scripted() -> Scripted:
    return Scripted()


def engine(scripted: Scripted, kind: ModelKind, waiting: int = 64) -> PredictorEngine:
    return PredictorEngine("it", scripted, Use(MODALITY[kind], kind), waiting=waiting)


def ask(made: PredictorEngine, path: str, **body: Any) -> Any:
    reply = ENDPOINTS["POST", path](made, body)
    return reply.whole() if isinstance(reply, Completion) else reply


def test_a_picture_is_shown_with_the_options_that_such_a_model_reads(scripted: Scripted) -> None:
    answer = ask(engine(scripted, "picture"), PREDICT, content=SENT, top_k=2, served_as="shapes", adapter=None)
    assert answer["model"] == "shapes"
    assert scripted.asked == [(b"content", {"top_k": 2})]


def test_recordings_are_written_down_and_predicted_alike(scripted: Scripted) -> None:
    for path in (HEAR, PREDICT):
        assert ask(engine(scripted, "speech"), path, content=SENT, language="en")["model"] == "it"
    assert scripted.asked == [(b"content", {"language": "en"})] * 2


def test_pictures_are_made_of_a_text_and_only_what_is_said_is_handed_on(scripted: Scripted) -> None:
    answer = ask(engine(scripted, "diffusion"), DRAW, prompt="a teapot", n=2, width=64, height=32, seed=3)
    assert answer["images"] == [base64.b64encode(b"png").decode()] * 2
    assert scripted.asked == [("a teapot", {"n": 2, "size": (64, 32), "seed": 3})]


def test_a_pair_gives_vectors_of_length_one_and_compares_candidates(scripted: Scripted) -> None:
    made = engine(scripted, "pair")
    assert ask(made, EMBED, input=["a", "b"])["data"][1]["embedding"] == pytest.approx([0.6, 0.8])
    ask(made, PREDICT, content=SENT, labels=["cat", "dog"])
    assert scripted.asked == [(b"content", None, {"candidates": ["cat", "dog"]})]
    with pytest.raises(BadValue, match="texts"):
        ask(made, EMBED, input=[1, 2])


def turns(*parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def shown(address: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address}}


SAID = {"type": "text", "text": "What is it?"}
DATA = f"data:image/png;base64,{SENT}"
OTHER = f"data:image/png;base64,{base64.b64encode(b'other').decode()}"


def test_a_talker_is_asked_about_the_picture_of_a_message(scripted: Scripted) -> None:
    told, before = {"role": "system", "content": "One word."}, {"role": "assistant", "content": "A cat."}
    messages = [told, *turns(shown(DATA), SAID), before, *turns(SAID, shown(OTHER))]
    answer = ask(engine(scripted, "talker"), CHAT, messages=messages, temperature=0, max_tokens=9, top_p=0.5)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    [(said, pictures, options)] = scripted.asked
    assert [(turn.role, turn.content) for turn in said] == [
        ("system", "One word."),
        ("user", f"{MARK}What is it?"),
        ("assistant", "A cat."),
        ("user", f"What is it?{MARK}"),
    ]
    assert pictures == (b"content", b"other")
    assert options == {"max_tokens": 9, "temperature": 0.0, "top_p": 0.5, "top_k": 0}


def test_an_answer_that_nobody_waits_for_ends(scripted: Scripted) -> None:
    reply = ENDPOINTS["POST", CHAT](engine(scripted, "talker"), {"messages": turns(SAID), "max_tokens": ENDLESS})
    assert isinstance(reply, Completion)
    asking = threading.Thread(target=reply.whole)
    asking.start()
    assert scripted.begun.wait(10)
    reply.answers.close()
    asking.join(10)
    assert not asking.is_alive()


def test_a_streamed_answer_comes_in_one_piece(scripted: Scripted) -> None:
    reply = ENDPOINTS["POST", CHAT](engine(scripted, "talker"), {"messages": turns(SAID), "stream": True})
    assert isinstance(reply, Completion) and reply.chunks is not None
    said = [chunk["choices"][0]["delta"].get("content") for chunk in reply.chunks()]
    assert said[0] == "" and "What is it?" in said[1] and said[2:] == [None]


@pytest.mark.parametrize(
    ("messages", "word"),
    [
        (turns(shown("http://example.org/a.png")), "no address is fetched"),
        (turns(shown("file:///etc/passwd")), "no address is fetched"),
        (turns(shown("data:image/png;base64,!")), "base64"),
        ([*turns(SAID), {"role": "assistant", "content": "A cat."}], "the user's last"),
        (turns({"type": "text", "text": f"What is{MARK} it?"}), "without U"),
    ],
    ids=["address", "file", "no base64", "no question", "mark"],
)  # fmt: skip
def test_what_a_talker_is_not_shown_is_said(scripted: Scripted, messages: list[Any], word: str) -> None:
    with pytest.raises(BadValue, match=word):
        ask(engine(scripted, "talker"), CHAT, messages=messages)


WRONG: list[tuple[ModelKind, str, dict[str, Any]]] = [
    ("picture", CHAT, {"messages": turns(SAID)}),
    ("picture", HEAR, {"content": SENT}),
    ("sound", DRAW, {"prompt": "a"}),
    ("diffusion", PREDICT, {"content": SENT}),
    ("talker", EMBED, {"input": "a"}),
]


@pytest.mark.parametrize(("kind", "path", "body"), WRONG)
def test_a_model_that_does_something_else_says_what_and_where(
    scripted: Scripted, kind: ModelKind, path: str, body: dict[str, Any]
) -> None:
    with pytest.raises(AskedOtherwise, match=r"cannot answer this: it .+\. Ask it by .+"):
        ask(engine(scripted, kind), path, **body)


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("picture", {"content": SENT, "threshold": 0.5}, NotServed),
        ("picture", {"content": SENT, "topk": 5}, UnknownKey),
        ("picture", {"content": SENT, "top_k": 0}, BadValue),
        ("picture", {"content": SENT, "text": "what?"}, BadValue),
        ("picture", {"content": SENT, "labels": ["a"]}, NotServed),
        ("picture", {"content": "?"}, BadValue),
        ("picture", {}, BadValue),
        ("detector", {"content": SENT, "threshold": 2}, BadValue),
        ("ctc", {"content": SENT, "language": "en"}, NotServed),
        ("picture", {"content": base64.b64encode(b"broken").decode()}, UnreadableContent),
    ],
)
def test_wrong_requests_are_refused_in_a_sentence(
    scripted: Scripted, kind: ModelKind, body: dict[str, Any], error: type[TunesmithError]
) -> None:
    with pytest.raises(error):
        ask(engine(scripted, kind), PREDICT, **body)


def test_one_is_answered_after_the_other_and_too_many_are_sent_away(scripted: Scripted) -> None:
    made = engine(scripted, "picture", waiting=1)
    scripted.go.clear()
    threads = [threading.Thread(target=ask, args=(made, PREDICT), kwargs={"content": SENT}) for _ in range(2)]
    threads[0].start()
    assert scripted.begun.wait(10)
    threads[1].start()
    for _ in range(1000):
        if made.health()["waiting"] == 1:
            break
        threading.Event().wait(0.005)
    assert (made.health()["running"], made.health()["waiting"]) == (1, 1)
    with pytest.raises(ServerBusy):
        ask(made, PREDICT, content=SENT)
    scripted.go.set()
    for thread in threads:
        thread.join(10)
    assert (made.health()["running"], made.health()["waiting"], len(scripted.asked)) == (0, 0, 2)
