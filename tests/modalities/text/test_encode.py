from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modalities.templates import CHATML, MISTRAL, write_model
from tunesmith.data.token_rows import EncodedRow
from tunesmith.modalities.text.encode import TextEncoder
from tunesmith.spec.errors import NoChatTemplate, NotALanguageModel, TemplateRefused, UnreadableFile, Where
from tunesmith.spec.examples import Conversation, Message, PlainText, PromptCompletion

WHERE = Where("chat.jsonl", 7)
Models = Callable[[str], Path]

STABLE = {"chatml": "<|im_end|>", "llama3": "<|eot_id|>", "mistral": "</s>", "none": "<|endoftext|>"}
"""Shapes whose template writes earlier turns as it wrote them before, and what ends a turn there."""


def talk(*contents: str, train: bool = True) -> Conversation:
    """A conversation in which user and assistant take turns."""
    turns = [
        Message("assistant", content, train=train) if place % 2 else Message("user", content)
        for place, content in enumerate(contents)
    ]
    return Conversation(tuple(turns), WHERE)


def trained(encoder: TextEncoder, row: EncodedRow) -> list[str]:
    """The stretches of text that are trained."""
    stretches: list[list[int]] = []
    for place, is_trained in enumerate(row.mask):
        if is_trained and not (place and row.mask[place - 1]):
            stretches.append([])
        if is_trained:
            stretches[-1].append(row.ids[place])
    return [encoder.spell(ids) for ids in stretches]


@pytest.mark.parametrize(("kind", "ending"), STABLE.items())
def test_trains_every_answer_with_the_end_of_its_turn(text_model: Models, kind: str, ending: str) -> None:
    encoder = TextEncoder(text_model(kind))
    [row] = encoder(talk("hello there", "hello you", "hello?", "Größe 🙂"))
    answers = [stretch.strip() for stretch in trained(encoder, row)]
    assert answers == [f"hello you{ending}", f"Größe 🙂{ending}"]
    assert encoder.spell(row.ids).count(ending) >= 2


@pytest.mark.parametrize("kind", STABLE)
def test_reads_a_conversation_as_its_template_renders_it(text_model: Models, kind: str) -> None:
    encoder = TextEncoder(text_model(kind))
    [row] = encoder(talk("a", "b", "c", "d"))
    messages = [{"role": role, "content": text} for role, text in zip(["user", "assistant"] * 2, "abcd", strict=True)]
    assert encoder.spell(row.ids) == encoder.template.render(messages)


def test_trains_no_line_end_behind_the_end_of_a_turn(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    [row] = encoder(talk("a", "b"))
    assert encoder.spell(row.ids[-2:]) == "<|im_end|>\n"
    assert row.mask[-2:] == [True, False]


def test_asks_before_an_answer_with_exactly_the_tokens_that_precede_it(text_model: Models) -> None:
    for kind in ["chatml", "llama3", "qwen3", "thinks first"]:
        encoder = TextEncoder(text_model(kind))
        [row] = encoder(talk("hello", "you"))
        assert encoder.prompt([Message("user", "hello")]) == row.ids[: row.mask.index(True)]


def test_makes_a_row_of_each_answer_where_earlier_turns_are_rewritten(text_model: Models) -> None:
    encoder = TextEncoder(text_model("qwen3"))
    first, second = encoder(talk("1?", "<think>\nhm\n</think>\n\none", "2?", "<think>\nwell\n</think>\n\ntwo"))
    assert trained(encoder, first) == ["<think>\nhm\n</think>\n\none<|im_end|>"]
    assert trained(encoder, second) == ["<think>\nwell\n</think>\n\ntwo<|im_end|>"]
    assert "hm" not in encoder.spell(second.ids)
    assert second.ids[: second.mask.index(True)] == encoder.prompt(
        [Message("user", "1?"), Message("assistant", "<think>\nhm\n</think>\n\none"), Message("user", "2?")]
    )


def test_trains_the_empty_thought_that_a_template_puts_before_an_answer(text_model: Models) -> None:
    encoder = TextEncoder(text_model("qwen3"))
    [row] = encoder(talk("1?", "one"))
    assert trained(encoder, row) == ["<think>\n\n</think>\n\none<|im_end|>"]


def test_continues_the_prompt_where_the_template_begins_a_thought(text_model: Models) -> None:
    encoder = TextEncoder(text_model("thinks first"))
    first, second = encoder(talk("1?", "one", "2?", "two"))
    assert encoder.spell(first.ids) == "<s><|user|>1?<|assistant|><think>\none</s>"
    assert trained(encoder, first) == ["one</s>"]
    assert encoder.spell(second.ids) == "<s><|user|>1?<|assistant|>one</s><|user|>2?<|assistant|><think>\ntwo</s>"
    assert trained(encoder, second) == ["two</s>"]


def test_leaves_out_answers_that_shall_not_be_trained(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    messages = (*talk("a", "bad", train=False).messages, *talk("c", "good").messages)
    [row] = encoder(Conversation(messages, WHERE))
    assert trained(encoder, row) == ["good<|im_end|>"]


def test_reads_nothing_behind_the_last_trained_answer(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    assert encoder(talk("a", "b", "thanks")) == encoder(talk("a", "b"))


def test_trains_a_token_that_holds_blanks_only(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    [row] = encoder(talk("a", "  hello  hello\n\n  "))
    assert trained(encoder, row) == ["  hello  hello\n\n  <|im_end|>"]


def test_trains_everything_when_asked_to(text_model: Models) -> None:
    [row] = TextEncoder(text_model("qwen3"), train_on="all")(talk("a", "b", "c", "d"))
    assert row.mask == [False] + [True] * (len(row.ids) - 1)


def test_uses_a_plain_rendering_for_a_model_without_a_template(text_model: Models) -> None:
    encoder = TextEncoder(text_model("none"))
    [row] = encoder(talk("Hi", "Yes?"))
    assert not encoder.has_template
    assert encoder.spell(row.ids) == "User: Hi\nAssistant: Yes?<|endoftext|>\n"
    assert encoder.spell(encoder.prompt([Message("user", "Hi")])) == "User: Hi\nAssistant:"


def test_trains_all_of_a_text_and_its_end(text_model: Models) -> None:
    encoder = TextEncoder(text_model("llama3"))
    [row] = encoder(PlainText("hello", WHERE))
    assert encoder.spell(row.ids) == "<|begin_of_text|>hello<|end_of_text|>"
    assert row.mask == [False, True, True]


def test_trains_a_completion_and_its_end(text_model: Models) -> None:
    encoder = TextEncoder(text_model("llama3"))
    [row] = encoder(PromptCompletion("hello hello", " hello 🙂", WHERE))
    assert encoder.spell(row.ids) == "<|begin_of_text|>hello hello hello 🙂<|end_of_text|>"
    assert trained(encoder, row) == [" hello 🙂<|end_of_text|>"]


def test_encodes_many_as_it_encodes_each(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    examples = [talk("a", "b"), PlainText("x", WHERE), talk("c", "d", "e", "f"), PromptCompletion("p", "q", WHERE)]
    assert encoder.encode_many(examples) == [encoder(example) for example in examples]


def test_names_the_row_that_the_template_refuses(text_model: Models) -> None:
    encoder = TextEncoder(text_model("mistral"))
    bad = Conversation((Message("user", "a"), Message("user", "b"), Message("assistant", "c")), WHERE)
    with pytest.raises(TemplateRefused, match=r"chat\.jsonl:7: .*roles must alternate"):
        encoder(bad)
    good, fault = encoder.encode_many([talk("a", "b"), bad])
    assert isinstance(good, list)
    assert isinstance(fault, TemplateRefused)


def test_knows_every_token_that_ends_an_answer(text_model: Models, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", "llama3", None, bos=None, eos="<|end_of_text|>")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, 4]}))
    assert {3, 4} < TextEncoder(folder).stop_ids
    encoder = TextEncoder(text_model("llama3"))
    assert {encoder.spell([token]) for token in encoder.stop_ids} == {"<|end_of_text|>", "<|eot_id|>"}


def test_decodes_without_special_tokens(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    assert encoder.decode(encoder.prompt([Message("user", "Größe")])) == "user\nGröße\nassistant\n"


def test_continues_a_bare_text_behind_the_first_token_of_every_text(text_model: Models) -> None:
    encoder = TextEncoder(text_model("llama3"))
    assert encoder.spell(encoder.text("hello")) == "<|begin_of_text|>hello"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ messages[0].content }}", "leaves out what the assistant says"),
        ("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}", "nothing in it ends"),
        ("{{ raise_exception('no chats') }}", "no chats"),
        ("{% endfor %}", "endfor"),
    ],
)
def test_refuses_a_template_that_ends_no_answer(tmp_path: Path, template: str, why: str) -> None:
    folder = write_model(tmp_path / "model", "chatml", template, bos=None, eos="<|im_end|>")
    with pytest.raises(NoChatTemplate, match=why):
        TextEncoder(folder)


def test_names_the_row_whose_answer_a_template_rewrites(tmp_path: Path) -> None:
    template = CHATML.replace("message['content']", "message['content'] | replace('secret', '')")
    encoder = TextEncoder(write_model(tmp_path / "model", "chatml", template, bos=None, eos="<|im_end|>"))
    assert encoder(talk("secret", "open"))
    with pytest.raises(TemplateRefused, match="does not repeat what an assistant turn says"):
        encoder(talk("a", "a secret thing"))


def test_says_that_a_folder_has_no_tokenizer(tmp_path: Path) -> None:
    with pytest.raises(NotALanguageModel, match=r"no tokenizer\.json"):
        TextEncoder(tmp_path)


def test_says_that_a_tokenizer_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UnreadableFile, match=r"tokenizer\.json"):
        TextEncoder(tmp_path)


def test_cuts_nothing_where_the_tokenizer_file_asks_for_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model", "chatml", CHATML, bos=None, eos="<|im_end|>")
    content = json.loads((folder / "tokenizer.json").read_text())
    content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(content))
    [row] = TextEncoder(folder)(talk("a", "b" * 50))
    assert len(row.ids) > 50


def test_changes_its_fingerprint_with_everything_that_changes_tokens(tmp_path: Path) -> None:
    def fingerprint(kind: str = "chatml", template: str = CHATML, train_on: str = "assistant") -> str:
        folder = write_model(tmp_path / "model", kind, template, bos=None, eos="<|endoftext|>")
        return TextEncoder(folder, train_on="all" if train_on == "all" else "assistant").fingerprint

    same = fingerprint()
    assert same == fingerprint()
    others = {fingerprint(kind="qwen3"), fingerprint(template=CHATML + " "), fingerprint(train_on="all")}
    assert len(others | {same}) == 4


def test_takes_a_template_from_a_file(text_model: Models, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text(MISTRAL)
    encoder = TextEncoder(text_model("mistral"), chat_template=file)
    assert encoder.fingerprint == TextEncoder(text_model("mistral")).fingerprint


contents = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="<|>"), min_size=1, max_size=30
).filter(lambda text: bool(text.strip()))


@settings(max_examples=60, deadline=None)
@given(turns=st.lists(st.tuples(contents, contents), min_size=1, max_size=4), kind=st.sampled_from(["chatml", "none"]))
def test_the_mask_covers_exactly_the_answers_and_their_ends(
    text_model: Models, turns: list[tuple[str, str]], kind: str
) -> None:
    # A tokenizer may hold the prompt's last line end and the answer's first blank in one token: the next fact.
    assume(not any(answer[0].isspace() for _, answer in turns))
    encoder = TextEncoder(text_model(kind))
    [row] = encoder(talk(*(content for turn in turns for content in turn)))
    before = " " if kind == "none" else ""
    assert trained(encoder, row) == [f"{before}{answer}{STABLE[kind]}" for _, answer in turns]


def test_a_token_that_holds_the_end_of_the_prompt_and_the_start_of_the_answer_is_trained(text_model: Models) -> None:
    encoder = TextEncoder(text_model("chatml"))
    [row] = encoder(talk("0", "\n0"))
    assert trained(encoder, row) == ["\n\n0<|im_end|>"]


@settings(max_examples=60, deadline=None)
@given(turns=st.lists(st.tuples(contents, contents), min_size=1, max_size=4))
def test_the_mask_covers_exactly_the_answer_that_is_served(text_model: Models, turns: list[tuple[str, str]]) -> None:
    encoder = TextEncoder(text_model("qwen3"))
    rows = encoder(talk(*(content for turn in turns for content in turn)))
    assert len(rows) == len(turns)
    for row, (_, answer) in zip(rows, turns, strict=True):
        assert trained(encoder, row) == [f"<think>\n\n</think>\n\n{answer}<|im_end|>"]


@settings(max_examples=60, deadline=None)
@given(turns=st.lists(st.tuples(contents, contents), min_size=1, max_size=4), kind=st.sampled_from(sorted(STABLE)))
def test_a_row_is_the_tokens_that_its_text_has(text_model: Models, turns: list[tuple[str, str]], kind: str) -> None:
    encoder = TextEncoder(text_model(kind))
    [row] = encoder(talk(*(content for turn in turns for content in turn)))
    messages = [
        {"role": role, "content": content}
        for turn in turns
        for role, content in zip(("user", "assistant"), turn, strict=True)
    ]
    assert encoder.spell(row.ids) == encoder.template.render(messages)
    assert not row.mask[0]
    assert len(row.ids) == len(row.mask)
