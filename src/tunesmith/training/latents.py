"""Latents of pictures and what text encoders say of captions, computed once and kept as mapped files of a run."""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunesmith.data.token_rows import TokenRows
from tunesmith.training.device import release_memory
from tunesmith.training.pipelines import (
    encoders_of,
    load_autoencoder,
    load_text_encoder,
    load_tokenizers,
    longest_of,
    read_texts,
    tokens_of,
)

FOLDER: Final = "latents"
AT_ONCE: Final = {"cpu": 1, "cuda": 8}
"""Pictures that the autoencoder reads at once."""
TEXTS_AT_ONCE: Final = 16

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """What was computed of some rows."""

    latents: Array
    """(rows, views, 2 x channels, height, width): means, then deviations, scaled as the UNet reads them."""
    captions: NDArray[np.int64]
    """(rows,) place of each row's caption among those that differ."""
    texts: Array | None
    """(captions, tokens, width); None where text encoders train."""
    sums: Array | None
    """(captions, width), of SDXL."""
    ids: list[Tensor]
    """(captions, tokens) for each text encoder, where these train."""

    def latent(self, row: int, view: int) -> tuple[Tensor, Tensor]:
        """Return mean and deviation of a picture as it is, or of its mirror image."""
        found = torch.from_numpy(np.array(self.latents[row, view]))
        mean, deviation = found.chunk(2)
        return mean, deviation

    def texts_of(self, rows: Sequence[int], device: torch.device) -> tuple[Tensor | list[Tensor], Tensor | None]:
        """Return what the UNet reads of the rows' captions, or their tokens, on a device."""
        places = self.captions[list(rows)]
        if self.texts is None:
            return [ids[torch.from_numpy(places)].to(device) for ids in self.ids], None
        texts, sums = (
            None if values is None else torch.from_numpy(np.array(values[places])).to(device)
            for values in (self.texts, self.sums)
        )
        assert texts is not None
        return texts, sums


class Keeping:
    """Computes and finds what is kept; a pipeline's autoencoder and text encoders are loaded when they are needed."""

    def __init__(self, folder: Path, device: torch.device, *, precision: str, base: str, read: bool) -> None:
        """``base`` names the pipeline by its content; ``read`` says whether captions are read once and kept."""
        self._folder = folder
        self._device = device
        self._precision = precision
        self._base = f"{base} {precision} {device.type}"
        self._read = read
        self._autoencoder: Any = None
        self._encoders: list[Any] = []
        self._tokenizers: list[Any] = load_tokenizers(folder)

    def too_long(self, rows: TokenRows) -> int:
        """Count the captions that are longer than what a text encoder reads."""
        texts, places = _captions(rows)
        read = [self._tokenizers[0](text, truncation=True, max_length=self.limit + 1).input_ids for text in texts]
        return sum(len(read[place]) > self.limit for place in places)

    @property
    def limit(self) -> int:
        """Tokens of a caption that every text encoder reads."""
        return min(map(longest_of, self._tokenizers))

    def keep(
        self,
        rows: TokenRows,
        place: int,
        folder: Path,
        earlier: Sequence[Path],
        beat: Callable[[], None],
        *,
        mirror: bool,
    ) -> None:
        """Have the files of some rows in ``folder``: they may lie there, in an ``earlier`` run's, or be computed."""
        (folder / FOLDER).mkdir(exist_ok=True)
        for name, make in self._parts(rows, place, beat, mirror=mirror):
            target = folder / FOLDER / name
            if target.is_file():
                continue
            found = next((run / FOLDER / name for run in earlier if (run / FOLDER / name).is_file()), None)
            if found is not None:
                _taken_over(found, target)
            else:
                part = target.with_suffix(".part")
                make(part)
                os.replace(part, target)

    def open(self, rows: TokenRows, place: int, folder: Path, *, mirror: bool) -> Kept:
        """Map the files of some rows."""
        arrays = {
            name.rpartition("-")[2]: np.load(folder / FOLDER / name, mmap_mode="r")
            for name, _ in self._parts(rows, place, lambda: None, mirror=mirror)
        }
        texts, captions = _captions(rows)
        ids = [] if self._read else [tokens_of(tokenizer, texts) for tokenizer in self._tokenizers]
        sums = arrays.get("sums.npy")
        return Kept(arrays["latents.npy"], captions, arrays.get("texts.npy"), sums, ids)

    def leave(self) -> None:
        """Give back the memory of what computes."""
        self._autoencoder, self._encoders = None, []
        release_memory(self._device)

    def _parts(
        self, rows: TokenRows, place: int, beat: Callable[[], None], *, mirror: bool
    ) -> Iterator[tuple[str, Callable[[Path], None]]]:
        """Yield the name of each file, and what writes it."""
        key = f"{place}-{_key(self._base, rows, mirror=mirror)}"
        yield f"{key}-latents.npy", lambda file: self._write_latents(rows, file, beat, mirror=mirror)
        if self._read:
            texts, _ = _captions(rows)
            yield f"{key}-texts.npy", lambda file: self._write_texts(texts, file, beat, sums=False)
            if len(self._tokenizers) > 1:
                yield f"{key}-sums.npy", lambda file: self._write_texts(texts, file, beat, sums=True)

    def _write_latents(self, rows: TokenRows, file: Path, beat: Callable[[], None], *, mirror: bool) -> None:
        if self._autoencoder is None:
            self._autoencoder = load_autoencoder(self._folder, self._device)
        step, out = AT_ONCE.get(self._device.type, 1), None
        assert rows.media is not None
        for begin in range(0, len(rows), step):
            some = range(begin, min(begin + step, len(rows)))
            pictures = [torch.from_numpy(np.array(rows.media[row].arrays[0])) for row in some]
            pixels = torch.stack(pictures).permute(0, 3, 1, 2).to(self._device).float() / 127.5 - 1
            views = [self._latents(pixels), *([self._latents(pixels.flip(3))] if mirror else [])]
            made = torch.stack(views, 1).cpu().numpy()
            if out is None:
                out = np.lib.format.open_memmap(file, "w+", np.float32, (len(rows), *made.shape[1:]))
            out[begin : begin + len(made)] = made
            beat()
        if out is not None:
            out.flush()

    def _latents(self, pixels: Tensor) -> Tensor:
        """Return (pictures, 2 x channels, height, width): means and deviations."""
        config = self._autoencoder.config
        with torch.no_grad():
            found = self._autoencoder.encode(pixels).latent_dist
        mean = found.mean - (getattr(config, "shift_factor", None) or 0.0)
        return torch.cat([mean * config.scaling_factor, found.std * config.scaling_factor], 1)

    def _write_texts(self, texts: Sequence[str], file: Path, beat: Callable[[], None], *, sums: bool) -> None:
        if not self._encoders:
            self._encoders = [
                load_text_encoder(self._folder, self._precision, place).to(self._device).eval()
                for place in encoders_of(self._folder)
            ]
        out = None
        for begin in range(0, len(texts), TEXTS_AT_ONCE):
            some = texts[begin : begin + TEXTS_AT_ONCE]
            with torch.no_grad():
                ids = [tokens_of(tokenizer, some).to(self._device) for tokenizer in self._tokenizers]
                read = read_texts(self._encoders, ids)[int(sums)]
            assert read is not None
            made = read.float().cpu().numpy()
            if out is None:
                out = np.lib.format.open_memmap(file, "w+", np.float32, (len(texts), *made.shape[1:]))
            out[begin : begin + len(made)] = made
            beat()
        if out is not None:
            out.flush()


def _captions(rows: TokenRows) -> tuple[list[str], NDArray[np.int64]]:
    """Return the captions that differ, and the place of each row's among them."""
    assert rows.media is not None
    said = [str(rows.media[row].facts["caption"]) for row in range(len(rows))]
    places = {text: place for place, text in enumerate(dict.fromkeys(said))}
    return list(places), np.array([places[text] for text in said], np.int64)


def _key(base: str, rows: TokenRows, *, mirror: bool) -> str:
    """Name rows by their content and what reads them."""
    content = hashlib.sha256(f"{base} {mirror}".encode())
    assert rows.media is not None
    for row in range(len(rows)):
        found = rows.media[row]
        content.update(
            f"{found.facts['caption']}\0{zlib.crc32(found.arrays[0].tobytes())}\0".encode(errors="surrogatepass")
        )
    return content.hexdigest()[:16]


def _taken_over(found: Path, target: Path) -> None:
    """Take a file of an earlier run over; the same file in both folders, where the disk allows it."""
    try:
        os.link(found, target)
    except OSError:
        shutil.copyfile(found, target)
