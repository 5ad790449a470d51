from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.byte_encoder import ByteEncoder, write_chats
from small_disk import small_disk
from tunesmith.data.check import Settings, check
from tunesmith.data.ledger import CLASSES
from tunesmith.data.prepare import PreparedData, prepare
from tunesmith.data.token_rows import EncodedRow, TokenRows
from tunesmith.spec.errors import DiskFull, FaultyData, NothingTrained, NoUsableRow, SplitImpossible, TooMuchLost
from tunesmith.spec.examples import BoxedImage, Conversation, Example
from tunesmith.spec.job import DatasetRef

Prepare = Callable[..., PreparedData]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepare:
    """``prepared(path or data sets, **settings)`` with a cache of its own."""

    def call(data: Path | list[DatasetRef], encoder: ByteEncoder | None = None, **given: Any) -> PreparedData:
        usual: dict[str, Any] = {
            "cache_dir": tmp_path / "cache",
            "length": None,
            "split": 0.1,
            "split_typed": False,
            "seed": 42,
            "strict": False,
            "drop_duplicates": False,
            "length_chosen": True,
            "progress": lambda _message, _share: None,
        }
        datasets = [DatasetRef(uri=str(data))] if isinstance(data, Path) else data
        return prepare(datasets, encoder or ByteEncoder(), **usual | given)

    return call


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write_chats(tmp_path / "chats.jsonl", [(f"ask {i:02}? ", f"say {i:02}") for i in range(40)])


def spoken(rows: TokenRows) -> list[str]:
    return [bytes(rows.row(place)[0].tolist()).decode() for place in range(len(rows))]


def test_divides_rows_by_the_seed(prepared: Prepare, chats: Path) -> None:
    data = prepared(chats)
    assert (len(data.train), len(data.validation), data.rows) == (36, 4, 40)
    assert spoken(data.train) == sorted(spoken(data.train))
    assert spoken(prepared(chats).validation) == spoken(data.validation)
    assert spoken(prepared(chats, seed=1).validation) != spoken(data.validation)


def test_keeps_the_first_held_out_examples(prepared: Prepare, chats: Path) -> None:
    data = prepared(chats)
    assert all(isinstance(example, Conversation) for example in data.held_out)
    said = {"".join(turn.content for turn in example.messages) for example in data.held_out}  # type: ignore[union-attr]
    assert said == set(spoken(data.validation))


def test_a_second_time_it_encodes_nothing(prepared: Prepare, chats: Path) -> None:
    encoder = ByteEncoder()
    first, second = prepared(chats, encoder), prepared(chats, encoder)
    assert (first.cached, second.cached, encoder.calls) == (False, True, 40)
    assert spoken(first.train) == spoken(second.train)
    assert first.held_out == second.held_out
    assert first.fingerprint == second.fingerprint


def test_tells_how_far_it_is(prepared: Prepare, chats: Path) -> None:
    heard: list[tuple[str, float | None]] = []
    prepared(chats, progress=lambda message, share: heard.append((message, share)))
    assert heard[0] == ("Looking into the token cache", None)
    shares = [share for message, share in heard if message == "Reading and tokenising" and share is not None]
    assert shares == sorted(shares)
    assert (shares[0] < 0.1, shares[-1]) == (True, 1.0)


def test_what_comes_after_the_cache_may_change(prepared: Prepare, chats: Path) -> None:
    prepared(chats)
    changed = prepared(chats, length=10, length_chosen=False, split=0.5, seed=7)
    assert changed.cached
    assert len(changed.validation) == 20
    assert changed.train.lengths.max() == 10


def test_a_damaged_cache_is_made_anew(prepared: Prepare, chats: Path, tmp_path: Path) -> None:
    whole = prepared(chats)
    before = spoken(whole.train)
    ids = tmp_path / "cache" / whole.fingerprint / "ids.npy"
    ids.write_bytes(ids.read_bytes()[:-8])
    again = prepared(chats)
    assert not again.cached
    assert spoken(again.train) == before


def test_the_fingerprint_is_of_data_reading_and_encoder(prepared: Prepare, chats: Path) -> None:
    before = prepared(chats).fingerprint
    renamed = prepared([DatasetRef(uri=str(chats), columns={"messages": "messages"})]).fingerprint
    encoder = prepared(chats, ByteEncoder("other")).fingerprint
    chats.write_text(chats.read_text().replace("say 07", "say 70"))
    assert len({before, renamed, encoder, prepared(chats).fingerprint}) == 4


def test_one_bad_line_is_one_fault(prepared: Prepare, chats: Path) -> None:
    chats.write_text(chats.read_text() + '{bad\n{"messages": [{"role": "user", "content": "refuse me"}]}\n')
    data = prepared(chats)
    assert data.rows == 40
    found = [(fault.where.row, fault.code) for fault in data.faults.first]
    assert found == [(41, "unreadable_row"), (42, "wrong_type")]


def test_a_row_that_the_encoder_refuses_is_a_fault(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b"), ("refuse me", "c"), ("d", "e")])
    for _ in range(2):
        data = prepared(path)
        assert [(fault.where.row, fault.code) for fault in data.faults.first] == [(2, "template_refused")]
        assert data.rows == 2


def test_strict_refuses_any_fault(prepared: Prepare, chats: Path) -> None:
    chats.write_text(chats.read_text() + "{bad\n")
    with pytest.raises(FaultyData, match=r"A row has a fault: .*chats\.jsonl:41"):
        prepared(chats, strict=True)


@pytest.mark.parametrize("content", ["", "{bad\n", "\n\n", "\0"])
def test_says_that_no_row_can_be_used(prepared: Prepare, tmp_path: Path, content: str) -> None:
    (path := tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(NoUsableRow, match="no row can be used"):
        prepared(path)


def test_says_that_every_token_is_masked(prepared: Prepare, chats: Path) -> None:
    with pytest.raises(NothingTrained, match="every token is masked"):
        prepared(chats, ByteEncoder(train=False))


def test_says_that_the_length_leaves_no_answer(prepared: Prepare, chats: Path) -> None:
    with pytest.raises(NothingTrained, match="a length of 4 tokens cuts every answer off"):
        prepared(chats, length=4, length_chosen=False)


# --- cache ---


def test_the_cache_keeps_within_its_limit_and_never_loses_what_is_in_use(
    prepared: Prepare, tmp_path: Path, chats: Path
) -> None:
    other = write_chats(tmp_path / "other.jsonl", [("x", "y"), ("z", "w")])
    first = prepared(chats)
    second = prepared(other, cache_limit=0)
    assert {first.fingerprint, second.fingerprint} == {path.name for path in (tmp_path / "cache").iterdir()}
    before = spoken(first.train)
    first.held.close()
    write_chats(other, [("p", "q")])
    third = prepared(other, cache_limit=0)
    assert {second.fingerprint, third.fingerprint} == {path.name for path in (tmp_path / "cache").iterdir()}
    assert spoken(first.train) == before


def test_two_at_once_encode_the_data_once(prepared: Prepare, chats: Path) -> None:
    encoder, reading, waiting = ByteEncoder(), threading.Event(), threading.Event()

    def read(message: str, _share: float | None) -> None:
        if message == "Reading and tokenising":
            reading.set()
            assert waiting.wait(30)

    def wait(message: str, _share: float | None) -> None:
        heard.append(message)
        if message.startswith("Waiting"):
            waiting.set()

    heard: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(prepared, chats, encoder, progress=read)
        assert reading.wait(30)
        second = prepared(chats, encoder, progress=wait)
        assert spoken(first.result().train) == spoken(second.train)
    assert "Waiting for another run that reads the same data" in heard
    assert (second.cached, encoder.calls) == (True, 40)


def test_a_full_disk_is_one_sentence_and_leaves_nothing(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [(f"{number} " * 300, "b" * 3000) for number in range(500)])
    with small_disk(tmp_path / "disk", megabytes=1) as disk:
        with pytest.raises(DiskFull, match="the disk is full"):
            prepared(path, cache_dir=disk)
        assert list(disk.iterdir()) == []


# --- split ---


def test_a_default_split_that_leaves_no_row_trains_without_validation(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b"), ("c", "d")])
    data = prepared(path)
    assert (len(data.train), len(data.validation), data.held_out) == (2, 0, [])
    assert data.warnings == ["2 rows are too few to hold any out: training without validation."]


def test_a_typed_split_that_leaves_no_row_is_an_error(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b"), ("c", "d")])
    with pytest.raises(SplitImpossible, match=r"0\.1 of 2 rows"):
        prepared(path, split_typed=True)


def test_a_typed_split_of_nothing_holds_nothing_out(prepared: Prepare, chats: Path) -> None:
    data = prepared(chats, split=0.0, split_typed=True)
    assert (len(data.train), len(data.validation), data.warnings) == (40, 0, [])


def test_a_validation_data_set_is_used_instead_of_a_split(prepared: Prepare, chats: Path, tmp_path: Path) -> None:
    other = write_chats(tmp_path / "other.jsonl", [("x", "y"), ("z", "w")])
    data = prepared([DatasetRef(uri=str(chats)), DatasetRef(uri=str(other), validation=True)])
    assert (len(data.train), spoken(data.validation)) == (40, ["xy", "zw"])
    assert [entry.name for entry in data.ledger.sources] == [str(chats)]


# --- twins ---


def test_a_training_row_that_stands_in_validation_is_left_out(prepared: Prepare, tmp_path: Path) -> None:
    train = write_chats(tmp_path / "train.jsonl", [("a", "b"), ("x", "y"), ("c", "d")])
    held = write_chats(tmp_path / "held.jsonl", [("x", "y")])
    data = prepared([DatasetRef(uri=str(train)), DatasetRef(uri=str(held), validation=True)])
    assert (spoken(data.train), spoken(data.validation), data.leaked) == (["ab", "cd"], ["xy"], 1)
    assert data.ledger.total.leaked == 2


def test_duplicates_are_kept_and_counted(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b"), ("a", "b"), ("c", "d"), ("a", "b")])
    data = prepared(path, split=0.0)
    assert (spoken(data.train), data.duplicates) == (["ab", "ab", "cd", "ab"], 2)
    assert data.ledger.total.duplicate == 0


def test_duplicates_are_dropped_when_asked_to(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b"), ("a", "b"), ("c", "d"), ("a", "b")])
    data = prepared(path, split=0.0, drop_duplicates=True)
    assert (spoken(data.train), data.duplicates) == (["ab", "cd"], 2)
    assert data.ledger.total.duplicate == 4


def test_rows_that_are_all_alike_train_without_validation(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b")] * 20)
    data = prepared(path)
    assert (len(data.train), len(data.validation)) == (20, 0)
    assert data.warnings == ["20 rows are too alike to hold any out: training without validation."]
    with pytest.raises(NothingTrained, match="also stands in the rows held out"):
        prepared(path, split_typed=True)


# --- test ---


def test_a_test_split_is_kept_for_the_end(prepared: Prepare, chats: Path) -> None:
    without, data = prepared(chats), prepared(chats, test_split=0.25)
    assert data.cached
    assert (len(data.train), len(data.validation), len(data.test), len(without.test)) == (26, 4, 10, 0)
    assert spoken(data.validation) == spoken(without.validation)
    assert not set(spoken(data.test)) & {*spoken(data.train), *spoken(data.validation)}


def test_a_test_data_set_is_used_instead_of_a_split(prepared: Prepare, chats: Path, tmp_path: Path) -> None:
    other = write_chats(tmp_path / "other.jsonl", [("x", "y"), ("ask 03? ", "say 03")])
    data = prepared([DatasetRef(uri=str(chats)), DatasetRef(uri=str(other), test=True)], split=0.0)
    assert (len(data.train), spoken(data.test), data.leaked) == (39, ["xy", "ask 03? say 03"], 1)


@pytest.mark.parametrize("side", ["validation", "test"])
def test_a_data_set_for_a_side_that_has_no_usable_row_is_an_error(
    prepared: Prepare, chats: Path, tmp_path: Path, side: str
) -> None:
    (other := tmp_path / "other.jsonl").write_text("{bad\n")
    with pytest.raises(NoUsableRow, match=r"other\.jsonl: no row can be used"):
        prepared([DatasetRef(uri=str(chats)), DatasetRef.model_validate({"uri": str(other), side: True})])


def test_a_test_split_of_which_nothing_is_left_at_the_length_is_an_error(prepared: Prepare, tmp_path: Path) -> None:
    train = write_chats(tmp_path / "a.jsonl", [("a", "b")])
    test = write_chats(tmp_path / "test.jsonl", [("a long question", "b")])
    datasets = [DatasetRef(uri=str(train)), DatasetRef(uri=str(test), test=True)]
    with pytest.raises(NothingTrained, match=r"test\.jsonl: no token would be trained: a length of 4"):
        prepared(datasets, split=0.0, length=4, length_chosen=False)


# --- kinds ---


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_texts_know_their_classes(prepared: Prepare, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"mail {i}", "label": ["spam", "ham"][i % 2]} for i in range(10)]
    for _ in range(2):
        data = prepared(write(tmp_path / "a.jsonl", *rows), split=0.2, test_split=0.2)
        assert data.labels == ["ham", "spam"]
        for side in (data.train, data.validation, data.test):
            assert side.labels is not None
            named = [data.labels[label] for label in side.labels]
            assert named == ["ham" if int(text[-1]) % 2 else "spam" for text in spoken(side)]


def test_numbered_classes_are_in_the_order_of_their_numbers(prepared: Prepare, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"t{label}", "label": label} for label in (10, 9, 0, 2)]
    assert prepared(write(tmp_path / "a.jsonl", *rows)).labels == ["0", "2", "9", "10"]


def test_chats_have_no_classes(prepared: Prepare, chats: Path) -> None:
    assert (prepared(chats).labels, prepared(chats).train.labels) == ([], None)


def test_a_cut_text_still_teaches_its_class(prepared: Prepare, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": f"a long text {i}", "label": i % 2} for i in range(10)]
    assert len(prepared(write(tmp_path / "a.jsonl", *rows), length=4).train) == 9


def test_answers_of_a_pair_stay_together_on_every_side(prepared: Prepare, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"p{i}", "chosen": "good", "rejected": "b"} for i in range(10)]
    data = prepared(write(tmp_path / "a.jsonl", *rows), split=0.2, test_split=0.2)
    for side in (data.train, data.validation, data.test):
        said = spoken(side)
        assert [text[:2] for text in said[::2]] == [text[:2] for text in said[1::2]]
        assert all(text.endswith("good") for text in said[::2])
    assert data.ledger.total.repeated == data.ledger.total.context == len(data.train)


# --- length ---


def test_running_text_is_cut_in_pieces_and_nothing_is_lost(prepared: Prepare, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": "abcdefghij"}, {"text": "xyz"}]
    data = prepared(write(tmp_path / "a.jsonl", *rows), length=4, split=0.0)
    assert spoken(data.train) == ["abcd", "efgh", "ij", "xyz"]
    total = data.ledger.total
    assert (total.trained, total.context, total.truncated, total.dropped) == (9, 4, 0, 0)


def test_pieces_of_a_text_stay_on_one_side(prepared: Prepare, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"text": letter * 10} for letter in "abcdefghij"]
    data = prepared(write(tmp_path / "a.jsonl", *rows), length=4, split=0.3)
    assert (len(data.train), len(data.validation)) == (21, 9)
    assert not {text[0] for text in spoken(data.train)} & {text[0] for text in spoken(data.validation)}


def test_a_cut_is_counted(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("12", "3456"), ("1234", "5"), ("1", "2")])
    data = prepared(path, length=4, length_chosen=False, split=0.0)
    assert spoken(data.train) == ["1234", "12"]
    total = data.ledger.total
    assert (total.trained, total.context, total.truncated, total.dropped, total.tokens) == (3, 3, 2, 5, 13)


def test_a_length_that_nobody_typed_may_not_cost_much(prepared: Prepare, chats: Path) -> None:
    with pytest.raises(TooMuchLost, match="Give --max-seq-length 14 to keep them"):
        prepared(chats, length=12)
    typed = prepared(chats, length=12, length_chosen=False)
    assert len(typed.train) == 36
    assert typed.warnings == ["A length of 12 tokens cuts 33.3% of the trained tokens off; 14 would keep them all."]
    assert len(prepared(chats, length=14).train) == 36


def test_the_context_that_is_read_again_is_a_class_of_its_own(prepared: Prepare, tmp_path: Path) -> None:
    path = write_chats(tmp_path / "a.jsonl", [("a", "b", "cc", "dd")])
    data = prepared(path, split=0.0)
    total = data.ledger.total
    assert spoken(data.train) == ["ab", "abccdd"]
    assert (total.trained, total.context, total.repeated) == (3, 1, 4)


chat_rows = st.lists(
    st.lists(st.sampled_from(["a", "bb", "ccc?", "refuse me"]), min_size=2, max_size=6), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=chat_rows, length=st.integers(1, 12), drop=st.booleans(), seed=st.integers(0, 99))
def test_the_ledger_accounts_for_every_token(
    prepared: Prepare, tmp_path: Path, rows: list[list[str]], length: int, drop: bool, seed: int
) -> None:
    path = write_chats(tmp_path / "a.jsonl", [tuple(row) for row in rows])
    try:
        data = prepared(
            path, length=length, length_chosen=False, drop_duplicates=drop, seed=seed, split=0.3, split_typed=True
        )
    except (NoUsableRow, NothingTrained, SplitImpossible):
        return
    checked = check([DatasetRef(uri=str(path))], ByteEncoder(), Settings(length, 0.3, 0.0, drop, seed))
    assert checked.ledger == data.ledger
    total = data.ledger.total
    assert total.trained == int(data.train.trained().sum())
    assert total.trained + total.context + total.repeated == data.train.tokens
    assert sum(total.shares().values()) == pytest.approx(100)
    assert data.train.trained().all()
    assert data.train.lengths.max() <= length
    assert json.loads(json.dumps(data.ledger.as_dict()))["total"]["tokens"] == sum(
        getattr(total, name) for name in CLASSES
    )
    if length == 12 and all(len(row) == 2 for row in rows):  # what is said then tells which row it is of
        assert not set(spoken(data.train)) & set(spoken(data.validation))


class PictureBytes(ByteEncoder):
    """Reads the bytes of a picture's file; no picture is needed for that."""

    def __call__(self, example: Example) -> list[EncodedRow]:
        assert isinstance(example, BoxedImage)
        return [EncodedRow([0, 0], [False, True], Path(example.image).read_bytes())]


@pytest.mark.parametrize(
    ("boxes", "labels"),
    [
        ([{"label": 1}, {"label": 0}], ["zebra", "ape"]),
        ([{"label": "10"}, {"label": "9"}], ["9", "10"]),
        ([{"label": "dog"}, {"label": "ape"}], ["dog", "ape"]),
    ],
)
def test_classes_of_boxes_stay_in_the_order_that_the_data_gives_them(
    prepared: Prepare, tmp_path: Path, boxes: list[dict[str, Any]], labels: list[str]
) -> None:
    names = {"names": ["zebra", "ape"]} if boxes[0]["label"] == 1 else {}
    rows = []
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(bytes([number]))
        shown = [{**box, "box": [0, 0, 4, 4]} for box in boxes]
        rows.append(json.dumps({"image": f"{number}.png", "boxes": shown, **names}) + "\n")
    (tmp_path / "boxes.jsonl").write_text("".join(rows))
    data = prepared(tmp_path / "boxes.jsonl", PictureBytes(), split=0.25)
    assert data.labels == labels
    assert (len(data.train), len(data.validation), data.train.labels) == (3, 1, None)
