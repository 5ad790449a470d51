"""What becomes of a history: who is learned from, what is only context, and that nothing disappears uncounted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.mixture import read
from tunesmith.service.datasets.conversations import AI_FLAGS, Tally, training_row, write_conversations
from tunesmith.spec.errors import NoAnswerToLearn, RowFault
from tunesmith.spec.examples import Conversation
from tunesmith.spec.job import DatasetRef


def user(text: str = "Hi.", **flags: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **flags}


def person(text: str = "Hello.", **flags: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **flags}


def robot(text: str = "I am a robot.") -> dict[str, Any]:
    return person(text, wasAIGenerated=True)


def row(*messages: dict[str, Any], **flags: Any) -> tuple[list[tuple[str, str, int | None]] | None, Tally]:
    """The row of a conversation, as (role, text, weight) of each message."""
    tally = Tally()
    made = training_row({"messages": list(messages), **flags}, tally)
    if made is None:
        return None, tally
    return [(said["role"], said["content"], said.get("weight")) for said in made["messages"]], tally


def test_every_answer_of_a_person_is_learned_once():
    made, tally = row(user("a"), person("b"), user("c"), person("d"))
    assert made == [("user", "a", None), ("assistant", "b", 1), ("user", "c", None), ("assistant", "d", 1)]
    assert tally.trained_answers == 2 and not tally.left_out


def test_what_an_ai_wrote_is_context_and_nothing_more():
    made, tally = row(user("a"), robot("b"), user("c"), person("d"), user("e"), robot("f"))
    assert made == [("user", "a", None), ("assistant", "b", 0), ("user", "c", None), ("assistant", "d", 1)]
    assert (tally.context_answers, tally.left_out) == (1, {"nothing is learned after it": 2})


@pytest.mark.parametrize("name", ["wasAIGenerated", "was_ai_generated", "aiGenerated", "is_ai", "isAI", "generated"])
@pytest.mark.parametrize("value", [True, "true", 1, "yes"])
def test_every_usual_mark_of_an_ai_counts(name: str, value: Any):
    assert row(user(), person(**{name: value}))[0] is None
    assert row(user(), person(), **{name: value})[0] is None, "on a conversation it is good for each answer"


@pytest.mark.parametrize("flags", [{"wasAIGenerated": False}, {"wasAIGenerated": None}, {"platform": "generated"}])
def test_what_is_no_mark_of_an_ai_leaves_an_answer_learned(flags: dict[str, Any]):
    assert row(user(), person(**flags))[1].trained_answers == 1


def test_a_side_that_speaks_twice_has_one_turn():
    made, tally = row(user("a"), user("b"), person("c"), person("d"))
    assert made == [("user", "a\nb", None), ("assistant", "c\nd", 1)] and tally.joined == 2


def test_an_ais_words_beside_a_persons_are_left_out():
    made, tally = row(user("a"), robot("b"), person("c"))
    assert made == [("user", "a", None), ("assistant", "c", 1)] and tally.left_out == {"written by an AI": 1}


def test_a_system_prompt_stays_in_front():
    made, tally = row(
        {"role": "system", "content": "Be kind."}, user("a"), {"role": "system", "content": "x"}, person()
    )
    assert made is not None and made[0] == ("system", "Be kind.", None)
    assert tally.left_out == {"system message after the beginning": 1}


def test_a_conversation_begins_with_the_user():
    made, tally = row(person("Welcome!"), user("a"), person("b"))
    assert made == [("user", "a", None), ("assistant", "b", 1)]
    assert tally.left_out == {"answer before the user's first message": 1}


def test_unknown_roles_and_empty_messages_are_counted():
    narrator = {"role": "narrator", "content": "Meanwhile"}
    tally = row(user("a"), narrator, user("  "), {"role": "user", "content": None}, person())[1]
    assert tally.left_out == {"unknown role": 1, "empty": 2}


def test_a_history_without_any_answer_is_refused_with_the_reasons(tmp_path: Path):
    with pytest.raises(NoAnswerToLearn, match="no answer of a person"):
        write_conversations(tmp_path / "a.jsonl", [{"messages": [user(), robot()]}])
    assert not list(tmp_path.iterdir())


roles = st.sampled_from(["user", "human", "assistant", "bot", "system", "tool", "nobody", ""])
flagged = st.sampled_from([{}, *({name: True} for name in sorted(AI_FLAGS))])
message = st.builds(
    lambda role, text, flags: {"role": role, "content": text, **flags},
    roles, st.one_of(st.none(), st.text(max_size=8)), flagged,
)  # fmt: skip
histories = st.lists(st.builds(lambda said: {"messages": said}, st.lists(message, max_size=8)), max_size=5)


@given(histories)
def test_every_message_is_in_a_row_or_counted(history: list[dict[str, Any]]):
    tally = Tally()
    rows = [made for conversation in history if (made := training_row(conversation, tally))]
    assert tally.messages == sum(len(made["messages"]) for made in rows) + tally.joined + tally.left_out.total()
    answers = [said for made in rows for said in made["messages"] if said["role"] == "assistant"]
    assert tally.trained_answers == sum(said["weight"] for said in answers)
    assert tally.trained_answers + tally.context_answers == len(answers) and tally.used == len(rows)


@given(histories)
def test_the_reader_of_rows_takes_every_row_and_learns_the_same_answers(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, Any]]
):
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    try:
        tally = write_conversations(path, history)
    except NoAnswerToLearn:
        return
    found = list(read([DatasetRef(uri=str(path), format="openai")]))
    assert not [fault.message for fault in found if isinstance(fault, RowFault)]
    kept = [each for each in found if isinstance(each, Conversation)]
    learned = [said for each in kept for said in each.messages if said.role == "assistant" and said.train]
    assert len(kept) == tally.used and len(learned) == tally.trained_answers
    assert all(each.messages[0].role in ("system", "user") for each in kept)
    assert [json.loads(line) for line in path.read_text().splitlines()]
