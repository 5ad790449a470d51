"""A tokenizer and a chat template: prompts to tokens, and tokens to what they say."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.spec.errors import BadValue, MessagesRefused, NoChatTemplate
from tunesmith.spec.examples import Conversation
from tunesmith.worker.serving.requests import Prompt
from tunesmith.worker.serving.spelling import Spelling


class Texts:
    """What is written and read with the tokenizer of one folder."""

    def __init__(self, folder: Path, vocabulary: int, stop_ids: frozenset[int] = frozenset()) -> None:
        """``vocabulary`` is how many tokens the model knows; ``stop_ids`` end its answers beside the folder's own."""
        self.folder = folder
        self._vocabulary = vocabulary
        self._encoder = TextEncoder(folder)
        self.stop_ids = self._encoder.stop_ids | stop_ids
        """Tokens that end an answer."""

    def of(self, folder: Path) -> Texts:
        """Return the same for an adapter that brings a tokenizer and a template of its own."""
        return Texts(folder, self._vocabulary, self.stop_ids)

    def ids(self, prompt: Prompt) -> list[int]:
        """Return the tokens of a prompt.

        Raises:
            MessagesRefused: the template does not take the messages.
            BadValue: a token that the model does not know, or no token at all.
        """
        ids = self._ids(prompt)
        if not ids:
            raise BadValue("prompt", prompt, "at least one token")
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return what tokens say, special ones left out."""
        return self._encoder.decode(ids)

    def echo(self, prompt: Prompt) -> str:
        """Return a prompt as text."""
        return prompt if isinstance(prompt, str) else self.decode(self.ids(prompt))

    @cached_property
    def spelling(self) -> Spelling:
        """What single tokens say."""
        return Spelling(self.folder)

    def _ids(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return self._encoder.text(prompt)
        if isinstance(prompt, Conversation):
            try:
                return self._encoder.prompt(prompt)
            except NoChatTemplate as error:
                raise MessagesRefused(error.why) from None
        unknown = next((token for token in prompt if token >= self._vocabulary), None)
        if unknown is not None:
            raise BadValue("prompt", unknown, f"a token number below {self._vocabulary}")
        return list(prompt)
