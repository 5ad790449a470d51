from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tunesmith.data.media.payload import pack, unpack

KINDS = st.sampled_from([np.uint8, np.int16, np.float32, np.int64])
ARRAYS = KINDS.flatmap(lambda kind: arrays.arrays(kind, arrays.array_shapes(max_dims=3, max_side=4, min_side=0)))


@given(
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), st.lists(ARRAYS, max_size=3)
)
def test_gives_back_what_was_packed(facts: dict[str, object], kept: list[np.ndarray]) -> None:
    found = unpack(np.frombuffer(pack(facts, kept), np.uint8))
    assert found.facts == facts
    assert [(each.dtype, each.shape, each.tobytes()) for each in found.arrays] == [
        (each.dtype, each.shape, each.tobytes()) for each in kept
    ]


def test_arrays_are_views_of_the_bytes() -> None:
    content = np.frombuffer(pack({}, [np.arange(6, dtype=np.float32)]), np.uint8)
    assert np.shares_memory(unpack(content).arrays[0], content)
