"""What a completion asks for: OpenAI's bodies of chat and text completions, checked.

https://platform.openai.com/docs/api-reference/chat and .../completions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tunesmith.generation.asking import Penalties
from tunesmith.spec.errors import BadValue, Contradiction
from tunesmith.spec.examples import Conversation
from tunesmith.spec.sampling import Sampling
from tunesmith.worker.serving.fields import (
    NAMES,
    flag,
    names_of_askers,
    number,
    refuse_unknown,
    stops,
    whole,
    with_usage,
)
from tunesmith.worker.serving.messages import read_conversation, read_pictures

COMMON: Final = NAMES | {
    "model", "adapter", "served_as", "stream", "stream_options", "temperature", "top_p", "top_k", "seed", "stop", "n",
    "max_tokens", "logprobs", "frequency_penalty", "presence_penalty",
}  # fmt: skip
CHAT: Final = COMMON | {
    "messages", "max_completion_tokens", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls",
}  # fmt: skip
TEXT: Final = COMMON | {"prompt", "echo", "best_of"}
OWN_ADAPTER: Final = "?"
"""Stands for the adapter that the run was started with, if it was: what a request means that names none."""
CHOICES: Final = 128
"""Answers to one request, at most."""
TEXT_TOKENS: Final = 16
"""Longest text completion where the request does not say; a chat may go on to the end of what the model sees."""
LONGEST: Final = 1_048_576
"""Most tokens of an answer."""

Prompt = Conversation | str | tuple[int, ...]
"""What a model is asked: messages, a text, or its tokens."""


@dataclass(frozen=True)
class Request:
    """A completion that somebody wants."""

    chat: bool
    prompts: tuple[Prompt, ...]
    """One for a chat."""
    sampling: Sampling
    max_tokens: int | None
    """Longest answer in tokens; 0 asks for none, None for as many as the model has room for."""
    n: int = 1
    """Answers to each prompt."""
    logprobs: int | None = None
    """How many likely tokens each place of an answer names; None: not even the one that was chosen."""
    penalties: Penalties | None = None
    """What an answer's tokens lose by repeating it; None: nothing."""
    stream: bool = False
    with_usage: bool = False
    """Whether a stream ends with a chunk that counts tokens."""
    echo: bool = False
    """Whether a text begins with its prompt."""
    tools: str = ""
    """JSON list of the tools that the answer may call; empty: none."""
    adapter: str | None = OWN_ADAPTER
    """Folder of an adapter, or of a checkpoint of one; None asks the model as it is."""
    served_as: str | None = None
    """What the answer calls the model."""
    pictures: tuple[bytes, ...] = ()
    """What the messages show."""


def read_chat(body: Mapping[str, Any]) -> Request:
    """Check the body of a chat completion.

    Raises:
        TunesmithError: an unknown key, a wrong value, or something that is not done.
    """
    refuse_unknown(body, CHAT)
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Contradiction("max_tokens", "max_completion_tokens")
    shown = whole(body, "top_logprobs", 0, 20)
    if shown is not None and not flag(body, "logprobs"):
        raise BadValue("top_logprobs", shown, "given beside logprobs: true")
    named = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    conversation = read_conversation(body)
    return Request(
        chat=True,
        prompts=(conversation,),
        tools=conversation.tools,
        pictures=read_pictures(body),
        max_tokens=whole(body, named, 1, LONGEST),
        logprobs=(shown or 0) if flag(body, "logprobs") else None,
        **_common(body),
    )


def read_text(body: Mapping[str, Any]) -> Request:
    """Check the body of a text completion.

    Raises:
        TunesmithError: an unknown key, a wrong value, or something that is not done.
    """
    refuse_unknown(body, TEXT)
    prompts, echo, logprobs = prompts_of(body, "prompt"), flag(body, "echo"), whole(body, "logprobs", 0, 5)
    if echo and logprobs is not None:
        raise Contradiction("echo", "logprobs")
    limit = whole(body, "max_tokens", 0, LONGEST)
    common = _common(body)
    best_of = whole(body, "best_of", 1, CHOICES)
    if best_of not in (None, common["n"]):
        raise BadValue("best_of", best_of, "the same number as n")
    if len(prompts) * common["n"] > CHOICES:
        raise BadValue("n", common["n"], f"a number that asks for {CHOICES} answers at most")
    longest = TEXT_TOKENS if limit is None else limit
    return Request(chat=False, prompts=prompts, max_tokens=longest, logprobs=logprobs, echo=echo, **common)


def _common(body: Mapping[str, Any]) -> dict[str, Any]:
    """Read what both kinds of completions have."""
    names_of_askers(body)
    stream = flag(body, "stream")
    return {
        "sampling": _sampling(body),
        "penalties": _penalties(body),
        "n": whole(body, "n", 1, CHOICES) or 1,
        "stream": stream,
        "with_usage": with_usage(body, stream=stream),
        "adapter": text_or_none(body, "adapter") if "adapter" in body else OWN_ADAPTER,
        "served_as": text_or_none(body, "served_as"),
    }


def _sampling(body: Mapping[str, Any]) -> Sampling:
    """Read how answers are drawn; what is left out is OpenAI's default."""
    return Sampling(
        temperature=number(body, "temperature", 0, 2, default=1.0),
        top_p=number(body, "top_p", 0, 1, default=1.0),
        top_k=whole(body, "top_k", 0, LONGEST) or 0,
        seed=whole(body, "seed", -(2**63), 2**63 - 1),
        stop=stops(body),
    )


def _penalties(body: Mapping[str, Any]) -> Penalties | None:
    """Read what repeating costs; None where it costs nothing."""
    given = Penalties(
        frequency=number(body, "frequency_penalty", -2, 2, default=0.0),
        presence=number(body, "presence_penalty", -2, 2, default=0.0),
    )
    return given if given != Penalties() else None


def text_or_none(body: Mapping[str, Any], name: str) -> str | None:
    """Read a text; None where it is left out."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadValue(name, value, "text")
    return value


def prompts_of(body: Mapping[str, Any], name: str) -> tuple[str | tuple[int, ...], ...]:
    """Read one prompt or several: texts, or lists of tokens."""
    given = body.get(name)
    prompts = [given] if isinstance(given, str) or _are_tokens(given) else given
    if not isinstance(prompts, list) or not prompts or not all(isinstance(p, str) or _are_tokens(p) for p in prompts):
        raise BadValue(name, given, "a text, a list of token numbers, or a list of either")
    return tuple(prompt if isinstance(prompt, str) else tuple(prompt) for prompt in prompts)


def _are_tokens(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(token) is int and token >= 0 for token in given)


def seeds(sampling: Sampling, count: int) -> Sequence[int | None]:
    """Return a seed for each answer to a prompt, all different where the request has one."""
    if sampling.seed is None:
        return [None] * count
    return [(sampling.seed + place + 2**63) % 2**64 - 2**63 for place in range(count)]
