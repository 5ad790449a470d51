"""The adapters that requests name by their folders: loaded when asked for, each with its own tokenizer and template."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunesmith.generation.decoder import AdapterFacts, Decoder
from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_tokenizer
from tunesmith.modalities.text.predictor import refuse_silent
from tunesmith.runs.checkpoints import MANIFEST
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import ModelNotFound
from tunesmith.worker.export.adapter import write_adapter_at

if TYPE_CHECKING:
    from tunesmith.worker.serving.texts import Texts


@dataclass(frozen=True)
class Named:
    """An adapter as requests name it."""

    folder: str
    """What the request said: an adapter, or a checkpoint of a run that trains one."""
    key: str
    """The folder and which of its contents, as a folder can be published anew while its adapter answers."""


class Adapters:
    """Adapters on one base."""

    def __init__(self, decoder: Decoder, base: Path, scratch: Path, read: Callable[[Path], Texts]) -> None:
        """``scratch`` is for adapters of checkpoints; ``read`` makes the texts of a folder with a tokenizer."""
        self._decoder = decoder
        self._base = base
        self._scratch = scratch
        self._read = read
        self._known: dict[str, tuple[Named, Texts | None]] = {}
        self._loading = threading.Lock()

    def load(self, folder: str) -> tuple[AdapterFacts, Texts | None]:
        """Load an adapter if it is not there; with it comes its tokenizer, if it brings one.

        Raises:
            ModelNotFound: the folder holds no adapter.
            TunesmithError: it does not fit the base, changes nothing, or finds no room.
        """
        with self._loading:
            place = adapter_folder(Path(folder), self._scratch)
            named = Named(folder, _stamp(place))
            refuse_silent(place)
            texts = self._texts_of(named, place)
            facts = self._decoder.load_adapter(named.key, place)
            self._known[named.key] = (named, texts)
            return facts, texts

    def unload(self, folder: str) -> bool:
        """Drop an adapter once the answers that it writes are complete; say whether it was there."""
        with self._loading:
            keys = [key for key, (named, _) in self._known.items() if named.folder == folder]
            return any([self._drop(key) for key in keys])

    def listed(self) -> list[tuple[str, AdapterFacts]]:
        """Return each adapter in memory with its folder, least recently used first."""
        with self._loading:
            facts = self._decoder.adapters()
            held = {one.key for one in facts}
            self._known = {key: known for key, known in self._known.items() if key in held}
            return [(self._known[one.key][0].folder, one) for one in facts if one.key in self._known]

    def _drop(self, key: str) -> bool:
        del self._known[key]
        return self._decoder.unload_adapter(key)

    def _texts_of(self, named: Named, place: Path) -> Texts | None:
        """Read an adapter's own tokenizer and template, which win over the base's."""
        if named.key in self._known:
            return self._known[named.key][1]
        if not (place / "tokenizer.json").is_file():
            return None
        check_tokenizer(place, self._base)
        return self._read(place)


def adapter_folder(given: Path, scratch: Path) -> Path:
    """Return the folder of an adapter; one that a checkpoint holds is written out below ``scratch`` first.

    Raises:
        ModelNotFound: the folder holds neither.
        NothingToExport: the checkpoint is damaged.
    """
    if (given / ADAPTER_CONFIG).is_file() and (given / ADAPTER_WEIGHTS).is_file():
        return given
    if not (given / MANIFEST).is_file():
        raise ModelNotFound(str(given), f"An adapter folder holds {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}.")
    target = scratch / hashlib.sha256(str(given).encode()).hexdigest()[:16]
    if not (target / ADAPTER_CONFIG).is_file():
        write_adapter_at(RunFolder(given.parent.parent), given, target)
    return target


def _stamp(folder: Path) -> str:
    """Name a folder and which of its contents."""
    known = (folder / ADAPTER_WEIGHTS).stat()
    return f"{folder}#{known.st_ino}-{known.st_mtime_ns}-{known.st_size}"
