from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from tunesmith.planning.weight_headers import fingerprint, tensors, weight_files
from tunesmith.spec.errors import UnreadableFile


def write(path: Path, header: Any, data: bytes = b"", *, length: int | None = None) -> Path:
    """Write a safetensors file, true or forged."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


ONE = {"a.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}


def test_reads_names_shapes_and_formats(tmp_path):
    [tensor] = tensors(write(tmp_path / "x.safetensors", {"__metadata__": {"format": "pt"}, **ONE}, bytes(24)))
    assert (tensor.name, tensor.dtype, tensor.shape, tensor.size) == ("a.weight", "F32", (2, 3), 6)


def test_reads_what_safetensors_writes(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"b": np.zeros((4, 5), np.float16), "c": np.zeros(3, np.float32)}, tmp_path / "x.safetensors")
    found = {tensor.name: (tensor.dtype, tensor.shape) for tensor in tensors(tmp_path / "x.safetensors")}
    assert found == {"b": ("F16", (4, 5)), "c": ("F32", (3,))}


@pytest.mark.parametrize(
    ("header", "data", "length"),
    [
        (ONE, bytes(24), 2**63),
        (ONE, bytes(24), 50_000_000),
        (ONE, bytes(24), 0),
        (ONE, bytes(12), None),
        (ONE, bytes(99), None),
        (b"\xff\xfe not json", b"", None),
        (b"[1, 2]", b"", None),
        (b"[" * 100_000, b"", None),
        ({"a": {"dtype": "F32", "shape": [2]}}, b"", None),
        ({"a": 3}, b"", None),
        ({"a": {"dtype": "F32", "shape": [-2, 3], "data_offsets": [0, 24]}}, bytes(24), None),
        ({"a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [24, 0]}}, bytes(24), None),
        ({"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 24]}}, bytes(24), None),
    ],
)
def test_a_damaged_or_forged_header_is_one_sentence(tmp_path, header, data, length):
    path = write(tmp_path / "x.safetensors", header, data, length=length)
    with pytest.raises(UnreadableFile, match=r"x\.safetensors: cannot be read"):
        tensors(path)


def test_a_file_shorter_than_a_header_is_one_sentence(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"abc")
    with pytest.raises(UnreadableFile):
        tensors(tmp_path / "x.safetensors")


def index(folder: Path, content: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))


def test_finds_shards_by_the_index(tmp_path):
    index(tmp_path, {"weight_map": {"b": "m-2.safetensors", "a": "m-1.safetensors", "c": "m-2.safetensors"}})
    for name in ("m-1.safetensors", "m-2.safetensors", "other.safetensors"):
        write(tmp_path / name, ONE, bytes(24))
    assert [path.name for path in weight_files(tmp_path)] == ["m-1.safetensors", "m-2.safetensors"]


@pytest.mark.parametrize(
    "content",
    [
        {"weight_map": {"a": "../../etc/passwd.safetensors"}},
        {"weight_map": {"a": "/etc/passwd"}},
        {"weight_map": {"a": "missing.safetensors"}},
        {"weight_map": {"a": "model.bin"}},
        {"weight_map": {}},
        {"weight_map": ["a"]},
        {"weight_map": {"a": ["b"]}},
        [],
    ],
)
def test_an_index_that_leads_elsewhere_is_one_sentence(tmp_path, content):
    index(tmp_path, content)
    with pytest.raises(UnreadableFile, match="index"):
        weight_files(tmp_path)


@pytest.mark.parametrize("place", [0, 24 * 4096 - 1])
def test_the_fingerprint_sees_replaced_weights(tmp_path, place):
    (tmp_path / "config.json").write_text("{}")
    header = {"a": {"dtype": "F32", "shape": [6, 4096], "data_offsets": [0, 24 * 4096]}}
    data = bytearray(24 * 4096)
    path = write(tmp_path / "model.safetensors", header, bytes(data))
    before = fingerprint(tmp_path / "config.json", [path])
    assert before == fingerprint(tmp_path / "config.json", [path])
    data[place] = 1
    write(path, header, bytes(data))
    assert fingerprint(tmp_path / "config.json", [path]) != before


def test_the_fingerprint_sees_another_configuration(tmp_path):
    path = write(tmp_path / "model.safetensors", ONE, bytes(24))
    config = tmp_path / "config.json"
    config.write_text("{}")
    before = fingerprint(config, [path])
    config.write_text('{"rope_theta": 2}')
    assert fingerprint(config, [path]) != before
