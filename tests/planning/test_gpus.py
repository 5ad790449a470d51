from __future__ import annotations

import pytest

from tunesmith.planning.gpus import Gpu, gpus, visible

ONE, TWO = (Gpu(index, f"GPU {index}", f"GPU-{index}abc", 100, 50, (8, 0)) for index in (0, 1))


@pytest.mark.parametrize(
    ("chosen", "kept"),
    [
        (None, [ONE, TWO]),
        ("1,0", [TWO, ONE]),
        ("1", [TWO]),
        ("", []),
        ("-1", []),
        ("0,7,1", [ONE]),
        ("GPU-1a", [TWO]),
    ],
)
def test_cuda_visible_devices_chooses(chosen, kept):
    assert visible([ONE, TWO], chosen) == kept


@pytest.mark.parametrize(("capability", "bf16"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bf16_begins_with_ampere(capability, bf16):
    assert Gpu(0, "", "", 1, 1, capability).bf16 is bf16


def test_no_driver_is_no_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tunesmith.planning.gpus.LIBRARY", "libnosuch.so.1")
    assert gpus() == []
