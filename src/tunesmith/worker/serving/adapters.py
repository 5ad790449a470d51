"""The adapters that requests name by their folders: loaded when asked for, each with its own tokenizer and template."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from tunesmith.generation.decoder import AdapterFacts, Decoder
from tunesmith.modalities.adapter_fit import ADAPTER_CONFIG, ADAPTER_WEIGHTS, check_tokenizer
from tunesmith.modalities.text.predictor import refuse_silent
from tunesmith.runs.checkpoints import MANIFEST
from tunesmith.runs.folder import RunFolder
from tunesmith.spec.errors import ModelNotFound
from tunesmith.worker.export.adapter import write_adapter_at
from tunesmith.worker.serving.texts import Texts

TEXT_FILES: Final = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json",
)  # fmt: skip
"""What decides how prompts become tokens."""

_writing = threading.Lock()
"""Held while a checkpoint's adapter is written out, as several requests may name it at once."""


@dataclass(frozen=True)
class Known:
    """An adapter that was loaded; it may be about to leave for others."""

    folder: str
    """What requests call it: the folder of an adapter, or of a checkpoint of a run that trains one."""
    key: str
    """The folder and which of its contents, as a folder can be published anew while its adapter answers."""
    texts: Texts


class Adapters:
    """Adapters on one base."""

    def __init__(self, decoder: Decoder, base: Path, scratch: Path, texts: Texts) -> None:
        """``scratch`` is for adapters of checkpoints; ``texts`` are the base's, for adapters that bring no others."""
        self._decoder = decoder
        self._base = base
        self._scratch = scratch
        self._own = texts
        self._texts = WeakValueDictionary({_digest(texts.folder): texts})
        """Tokenizers are large, and most adapters of a base bring the same one."""
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def find(self, folder: str) -> Known:
        """Return an adapter that was loaded; one that was not, or whose files are others by now, is loaded.

        Raises:
            TunesmithError: as ``load``.
        """
        known = self._known.get(_stamp(adapter_folder(Path(folder), self._scratch)))
        if known is not None:
            return known
        return self.load(folder)[0]

    def load(self, folder: str) -> tuple[Known, AdapterFacts]:
        """Load an adapter unless it is there.

        Raises:
            ModelNotFound: the folder holds no adapter.
            NotALanguageModel: the adapter does not write.
            TunesmithError: it does not fit the base, changes nothing, or finds no room.
        """
        with self._loading:
            place = adapter_folder(Path(folder), self._scratch)
            refuse_silent(place)
            known = Known(folder, _stamp(place), self._texts_of(place))
            facts = self._decoder.load_adapter(known.key, place)
            here = {one.key for one in self._decoder.adapters()}
            with self._lock:
                self._known[known.key] = known
                outdated = [key for key, one in self._known.items() if one.folder == folder and key != known.key]
                gone = [key for key in self._known if key not in here]  # they left for this one
            self._drop(outdated + gone)
            return known, facts

    def unload(self, folder: str) -> bool:
        """Drop an adapter once the answers that it writes are complete; say whether it was there."""
        with self._lock:
            keys = [key for key, known in self._known.items() if known.folder == folder]
        return self._drop(keys)

    def listed(self) -> list[tuple[str, AdapterFacts]]:
        """Return each adapter in memory with its folder, least recently used first."""
        facts = self._decoder.adapters()
        with self._lock:
            return [(self._known[one.key].folder, one) for one in facts if one.key in self._known]

    def _drop(self, keys: list[str]) -> bool:
        with self._lock:
            for key in keys:
                self._known.pop(key, None)
        return any([self._decoder.unload_adapter(key) for key in keys])

    def _texts_of(self, place: Path) -> Texts:
        """Return an adapter's own tokenizer and template, which win over the base's."""
        if not (place / "tokenizer.json").is_file():
            return self._own
        digest = _digest(place)
        texts = self._texts.get(digest)
        if texts is None:
            check_tokenizer(place, self._base)
            texts = self._own.of(place)
            self._texts[digest] = texts
        return texts


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
    with _writing:
        if not (target / ADAPTER_CONFIG).is_file():
            write_adapter_at(RunFolder(given.parent.parent), given, target)
    return target


def _stamp(folder: Path) -> str:
    """Name a folder and which of its contents."""
    known = (folder / ADAPTER_WEIGHTS).stat()
    return f"{folder}#{known.st_ino}-{known.st_mtime_ns}-{known.st_size}"


def _digest(folder: Path) -> str:
    """Name the contents of a folder's tokenizer and template."""
    digest = hashlib.sha256()
    for name in TEXT_FILES:
        content = (folder / name).read_bytes() if (folder / name).is_file() else b""
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()
