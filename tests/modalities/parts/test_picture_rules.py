from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tunesmith.modalities.parts import picture_rules
from tunesmith.modalities.parts.picture_rules import DEFAULTS


def drawn(width: int, height: int) -> Image.Image:
    """Colours that go over into one another."""
    small = np.random.default_rng(0).integers(0, 256, (min(height, 40), min(width, 40), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["clip", "llava"])
@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (2, 30_000)])
def test_a_thin_picture_takes_little_memory(kind: str, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, (10, 200, 30))
    tracemalloc.start()
    found = DEFAULTS[kind].fit(picture)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.shape == (DEFAULTS[kind].height, DEFAULTS[kind].width, 3)
    assert np.array_equal(found, np.broadcast_to(np.array([10, 200, 30], np.uint8), found.shape))
    assert peak < 2**22  # Scaled as a whole it is 20 million pixels of CLIP's.


@pytest.mark.parametrize("high", [224, 250, 100])
@pytest.mark.parametrize("size", [(30, 900), (900, 30), (7, 3000), (3000, 7), (224, 5000)])
def test_what_is_cut_out_first_is_what_is_cut_out_after(
    size: tuple[int, int], high: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = replace(DEFAULTS["clip"], height=high)
    whole = rule.fit(drawn(*size))
    monkeypatch.setattr(picture_rules, "WHOLE", 0)
    assert np.abs(whole.astype(int) - rule.fit(drawn(*size))).max() <= 2


def test_a_thin_picture_is_not_filled_up_to_a_huge_square() -> None:
    rule = replace(DEFAULTS["llava"], squared=True)
    why = r"^filled up to a square it has 60000 x 60000 pixels; 200,000,000 is the most"
    with pytest.raises(ValueError, match=why):
        rule.fit(Image.new("RGB", (1, 60_000)))
    assert rule.fit(drawn(1, 600)).shape == (336, 336, 3)
