from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.ledger import CLASSES, Entry, Ledger

entries = st.builds(Entry, st.just("a"), **{name: st.integers(0, 10**12) for name in CLASSES})


@given(entries)
def test_shares_sum_to_exactly_one_hundred_as_they_are_printed(entry: Entry) -> None:
    printed = [Decimal(f"{share:.1f}") for share in entry.shares().values()]
    assert sum(printed) == (100 if entry.tokens else 0)


@given(entries)
def test_a_share_is_off_by_less_than_a_tenth_of_a_per_cent(entry: Entry) -> None:
    for name, share in entry.shares().items():
        assert abs(share - 100 * getattr(entry, name) / max(entry.tokens, 1)) < 0.1 + 1e-9


def test_the_largest_remainder_is_rounded_up() -> None:
    shares = Entry("a", trained=1, context=1, truncated=1).shares()
    assert [shares[name] for name in ("trained", "context", "truncated")] == [33.4, 33.3, 33.3]


@given(st.lists(entries, max_size=4).map(tuple))
def test_the_total_holds_every_token_of_every_source(sources: tuple[Entry, ...]) -> None:
    assert Ledger(sources).total.tokens == sum(entry.tokens for entry in sources)
