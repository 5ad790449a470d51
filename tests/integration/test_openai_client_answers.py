"""OpenAI's client, unchanged, asks models of a real server; so does the client of the organisations' API."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from openai import APIStatusError, NotFoundError, OpenAI

from fleet import until
from served import Served, served
from tiny import make_tiny_encoder, make_tiny_model
from tunesmith.runs.event_log import read
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.events import Serving

ASKED: Final = "What is 3 plus 3?"
ASK: Final[list[Any]] = [{"role": "user", "content": ASKED}]
WITHIN: Final = 1.0
"""Seconds after which an answer that nobody hears is not worked on any more."""


@dataclass
class Shop:
    """A server with a base, a model that embeds, and one that talks for long."""

    server: Served
    client: OpenAI


@dataclass
class Tuned:
    """A model that was tuned from the base."""

    name: str
    checkpoint: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    models = folder / "home" / "models"
    models.mkdir(parents=True)
    (models / "tiny").symlink_to(tiny_model)
    make_tiny_encoder(models / "encoder")
    make_tiny_model(models / "chatty", max_position_embeddings=200_000, hidden_size=128, num_hidden_layers=4)
    with served(folder / "home", "--device", "cpu", folder=folder) as server:
        yield Shop(server, OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=120))


@pytest.fixture(scope="module")
def tuned(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    return tune(shop.client, write_rows(tmp_path_factory.mktemp("data") / "rows.jsonl"))


def write_rows(path: Path) -> Path:
    rows = [(f"What is {i} plus {i}?", f"It is {2 * i}.") for i in range(40)]
    path.write_text(
        "".join(
            json.dumps({"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]})
            + "\n"
            for asked, said in rows
        )
    )
    return path


def tune(client: OpenAI, rows: Path) -> Tuned:
    """Tune tiny."""
    file = client.files.create(file=rows, purpose="fine-tune")
    numbers: Any = {"n_epochs": 4, "learning_rate_multiplier": 30}
    method: Any = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    jobs = client.fine_tuning.jobs
    id = jobs.create(model="tiny", training_file=file.id, suffix="sums", method=method).id
    done: Any = until(
        lambda: (now := jobs.retrieve(id)).status in ("succeeded", "failed") and now, "the model is tuned", 120
    )
    assert done.status == "succeeded", done
    return Tuned(done.fine_tuned_model, jobs.checkpoints.list(id).data[0].fine_tuned_model_checkpoint)


def said(shop: Shop, model: str, **more: Any) -> str:
    answer = shop.client.chat.completions.create(
        model=model, messages=ASK, **{"max_tokens": 12, "temperature": 0, **more}
    )
    return str(answer.choices[0].message.content)


def test_the_tuned_model_answers_whole_and_streamed_alike(shop: Shop, tuned: Tuned) -> None:
    create = shop.client.chat.completions.create
    whole = create(model=tuned.name, messages=ASK, max_tokens=12, temperature=0)
    assert whole.model == tuned.name and whole.object == "chat.completion"
    assert whole.usage is not None and whole.usage.total_tokens == (
        whole.usage.prompt_tokens + whole.usage.completion_tokens
    )
    options: Any = {"include_usage": True}
    with create(
        model=tuned.name, messages=ASK, max_tokens=12, temperature=0, stream=True, stream_options=options
    ) as stream:
        chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content != said(shop, "tiny")
    assert chunks[0].choices[0].delta.role == "assistant" and chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == whole.choices[0].finish_reason


def test_the_first_byte_comes_long_before_the_last_token(shop: Shop) -> None:
    said(shop, "chatty", max_tokens=1)  # It is loaded now.
    body = {"model": "chatty", "messages": ASK, "max_tokens": 600, "temperature": 0, "stream": True}
    with httpx.stream("POST", f"{shop.server.url}/v1/chat/completions", json=body, timeout=120) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-accel-buffering"] == "no" and answer.headers["cache-control"] == "no-store"
        lines = (line for line in answer.iter_lines() if line)
        first = next(lines)
        assert json.loads(first.removeprefix("data: "))["object"] == "chat.completion.chunk"
        next(lines)
        written = health(shop, "chatty")["tokens"]
        rest = list(lines)
    assert rest[-1] == "data: [DONE]"
    assert health(shop, "chatty")["tokens"] - written > 100, "most of it was written after the first byte was read"


def test_an_answer_stops_when_its_client_leaves(shop: Shop) -> None:
    said(shop, "chatty", max_tokens=1)
    body = {"model": "chatty", "messages": ASK, "max_tokens": 100_000, "temperature": 0}
    url = f"{shop.server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json={**body, "stream": True}, timeout=120) as answer:
        lines = answer.iter_lines()  # To forget it would be to hang up.
        next(lines)
        until(lambda: health(shop, "chatty")["running"] == 1, "it is answered")
    until(lambda: health(shop, "chatty")["running"] == 0, "the stream's answer has ended", WITHIN)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=body, timeout=1)
    until(lambda: health(shop, "chatty")["running"] == 0, "the whole answer has ended", WITHIN)


def health(shop: Shop, model: str) -> dict[str, Any]:
    """What the process of a model says of itself."""
    for path in (shop.server.home / "runs").iterdir():
        run = RunFolder(path)
        sockets = [event.body.socket for event in read(run.events, 0)[0] if isinstance(event.body, Serving)]
        if (run.header().request or {}).get("model", "").endswith(f"/{model}") and sockets:
            with httpx.Client(transport=httpx.HTTPTransport(uds=sockets[-1])) as http:
                found: dict[str, Any] = http.get("http://localhost/healthz", timeout=5).json()
                return found
    raise AssertionError(f"no process holds {model}")


def test_a_checkpoint_answers_by_its_name(shop: Shop, tuned: Tuned) -> None:
    answer = said(shop, tuned.checkpoint)
    assert answer and answer == said(shop, tuned.checkpoint)
    shown = shop.client.models.retrieve(tuned.checkpoint)
    assert shown.id == tuned.checkpoint and shown.owned_by == "default"


def test_texts_go_on_by_seed_number_and_stop(shop: Shop) -> None:
    create = shop.client.completions.create
    drawn = [create(model="tiny", prompt="Hello", max_tokens=8, temperature=1, seed=seed, n=2) for seed in (7, 7, 8)]
    texts = [[choice.text for choice in each.choices] for each in drawn]
    assert texts[0] == texts[1] != texts[2] and len(set(texts[0])) == 2
    likely = create(model="tiny", prompt="Hello", max_tokens=3, temperature=0, logprobs=2).choices[0].logprobs
    assert likely is not None and likely.token_logprobs and likely.top_logprobs
    assert len(likely.token_logprobs) == 3 and len(likely.top_logprobs[0]) >= 2
    whole = create(model="tiny", prompt="Hello", max_tokens=8, temperature=0).choices[0]
    cut = create(model="tiny", prompt="Hello", max_tokens=8, temperature=0, stop=whole.text[2:4]).choices[0]
    assert whole.text.startswith(cut.text) and len(cut.text) <= 2 and cut.finish_reason == "stop"


def test_how_likely_each_token_of_a_chat_was_is_told(shop: Shop, tuned: Tuned) -> None:
    answer = shop.client.chat.completions.create(
        model=tuned.name, messages=ASK, max_tokens=4, temperature=0, logprobs=True, top_logprobs=3
    )
    told = answer.choices[0].logprobs
    assert told is not None and told.content is not None
    assert [len(place.top_logprobs) for place in told.content] == [3] * len(told.content)
    assert all(place.logprob == place.top_logprobs[0].logprob <= 0 for place in told.content)


def test_texts_become_vectors(shop: Shop) -> None:
    texts = ["What are your hours?", "When do you open?"]
    numbers = shop.client.embeddings.create(model="encoder", input=texts, encoding_format="float")
    bytes_ = shop.client.embeddings.create(model="encoder", input=texts)
    assert [each.index for each in numbers.data] == [0, 1] and numbers.usage.prompt_tokens > 0
    for one, other in zip(numbers.data, bytes_.data, strict=True):
        assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-5)
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)


def test_all_that_can_be_asked_is_listed(shop: Shop, tuned: Tuned) -> None:
    found = {model.id: model.model_dump() for model in shop.client.models.list()}
    assert {"tiny", "encoder", "chatty", tuned.name} <= set(found)
    assert (found["tiny"]["root"], found["tiny"]["parent"]) == ("tiny", None)
    assert (found[tuned.name]["root"], found[tuned.name]["parent"]) == ("tiny", "tiny")
    job = tuned.name.rpartition(":")[2]
    for name in (f"job-{job}", f"ftjob-{job}", job, f"default/{tuned.name}"):
        assert said(shop, name) == said(shop, tuned.name)


@pytest.mark.parametrize(
    ("change", "error", "word"),
    [
        ({"model": "nothing"}, NotFoundError, "nothing"),
        ({"model": "ft:tiny:default::000000000000"}, NotFoundError, "000000000000"),
        ({"temperature": -1}, APIStatusError, "temperature"),
        ({"max_tokens": 0}, APIStatusError, "max_tokens"),
        ({"messages": []}, APIStatusError, "messages"),
        ({"messages": [{"role": "user", "content": "long " * 100_000}]}, APIStatusError, "tokens"),
        ({"extra_body": {"temprature": 1}}, APIStatusError, "temperature"),
    ],
)
def test_each_wrong_question_has_one_clear_answer(
    shop: Shop, change: dict[str, Any], error: type[APIStatusError], word: str
) -> None:
    for stream in (False, True):
        with pytest.raises(error) as refused:
            shop.client.chat.completions.create(**{"model": "tiny", "messages": ASK, "stream": stream, **change})
        body: Any = refused.value.body
        assert 400 <= refused.value.status_code < 500 and word in body["message"], body
        assert set(body) == {"message", "type", "param", "code"}


def test_options_of_a_stream_without_one_are_refused(shop: Shop) -> None:
    with pytest.raises(APIStatusError, match="stream_options") as refused:
        shop.client.chat.completions.create(model="tiny", messages=ASK, stream_options={"include_usage": True})
    assert 400 <= refused.value.status_code < 500


def test_the_consumer_of_the_organisations_api_is_answered_without_naming_one(shop: Shop, tuned: Tuned) -> None:
    base = f"{shop.server.url}/api/v1"
    asked = {
        "system_prompt": "You add.",
        "history": [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello!"}],
        "message": ASKED,
        "temperature": 0,
        "max_tokens": 12,
    }
    answer = httpx.post(f"{base}/generate", json=asked, timeout=120)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    turns: list[Any] = [{"role": "system", "content": "You add."}, *asked["history"], *ASK]
    chat = shop.client.chat.completions.create(
        model=tuned.name, messages=turns, max_tokens=12, temperature=0, top_p=0.9
    )
    assert told["response"] == chat.choices[0].message.content
    assert told["model_info"]["org_id"] == "default" and told["model_info"]["model_id"].startswith("train_")
    assert httpx.get(f"{base}/models/default/info").json()["loaded"] is True
    assert tuned.name in httpx.get(f"{base}/health").json()["loaded_models"]


def test_what_is_unloaded_is_loaded_again_by_the_next_question(shop: Shop, tuned: Tuned) -> None:
    said(shop, tuned.name)
    base = f"{shop.server.url}/api"
    assert httpx.post(f"{base}/v1/models/unload", timeout=60).json()["unloaded"] >= 1
    assert httpx.get(f"{base}/v1/models/default/info").json()["loaded"] is False
    assert tuned.name not in httpx.get(f"{base}/system/status").json()["loaded_models"]
    id = f"train_{tuned.name.rpartition(':')[2]}"
    loaded = httpx.post(f"{base}/v1/models/load", params={"model_id": id}, timeout=120).json()
    assert (loaded["status"], loaded["model_id"]) == ("loaded", id)
    assert httpx.get(f"{base}/v1/models/default/info").json()["loaded"] is True
    cleared = httpx.post(f"{base}/system/clear-models", timeout=60).json()
    assert cleared["success"] and cleared["cleared"] >= 1
    assert httpx.get(f"{base}/system/status").json()["loaded_models"] == []
    assert said(shop, tuned.name)


def test_a_task_is_tested_by_its_id(shop: Shop, tuned: Tuned) -> None:
    id = tuned.name.rpartition(":")[2]
    body = {"task_id": id, "prompt": ASKED, "max_tokens": 12}
    answer = httpx.post(f"{shop.server.url}/api/llm-finetuning/test", json=body, timeout=120).json()
    assert answer["success"] and answer["response"] == said(shop, tuned.name)
