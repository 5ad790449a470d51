"""The Hugging Face hub: what its cache on this machine holds, and fetching what it does not hold.

``HF_HOME``, ``HF_HUB_CACHE``, ``HF_ENDPOINT`` and ``HF_TOKEN`` (or ``HUGGINGFACE_TOKEN``) mean what they mean to
other programs. The token may stand in ``.env`` as well.
"""

from __future__ import annotations

import fnmatch
import functools
import glob
import json
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

from tunesmith.planning.model_files import PICKLED
from tunesmith.runs.durable import room_for
from tunesmith.spec.errors import ModelNotFound, NotALanguageModel, Offline, PullFailed
from tunesmith.spec.home_paths import expanded

WANTED: Final = ("*.safetensors", "*.json", "*.jinja", "tokenizer*", "*.model", "*.txt", "LICENSE*", "README.md")
"""What is fetched of a repository, but pickled weights where there are no others: no copies in other formats."""
PICKLED_SINGLE: Final = "pytorch_model.bin"
PICKLED_INDEX: Final = "pytorch_model.bin.index.json"
_PICKLED: Final = "pytorch_model*.bin"
PIPELINE: Final = "model_index.json"
"""By which a pipeline of diffusers is known; its parts lie in subfolders, and copies of it beside them."""
PARTS: Final = ("unet", "vae", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "scheduler")
"""What is fetched of a pipeline."""
WEIGHED: Final = PARTS[:3]
"""Parts with weights that every pipeline has."""
TOKENS: Final = ("HF_TOKEN", "HUGGINGFACE_TOKEN")
"""Names under which the token stands; it is handed on to the hub and to nobody else."""
PROBE_SECONDS: Final = 2.0
"""Longest wait for a sign of life; without it an unreachable hub costs half a minute for each file."""
_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def is_hub_id(source: str) -> bool:
    """Whether ``source`` reads like ``owner/name``."""
    return _ID.fullmatch(source) is not None and ".." not in source


def cached(repository: str, revision: str | None = None) -> Path | None:
    """Return the snapshot of a model in the hub's cache, if all of its files are there."""
    folder = cache_dir() / f"models--{repository.replace('/', '--')}"
    wanted = revision or "main"
    reference = folder / "refs" / wanted
    commit = reference.read_text().strip() if reference.is_file() else wanted
    snapshot = folder / "snapshots" / commit
    return snapshot if is_complete(snapshot) else None


def cache_dir() -> Path:
    """Return the hub's cache, where every program that uses it looks."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return expanded(os.environ.get("HF_HUB_CACHE") or home / "hub")


def is_complete(folder: Path) -> bool:
    """Whether a folder holds a configuration and every file of weights that its index names, or such parts."""
    if (folder / PIPELINE).is_file():
        return all(is_complete(folder / part) for part in WEIGHED)
    if not (folder / "config.json").is_file():
        return False
    for index in (*folder.glob("*.safetensors.index.json"), folder / PICKLED_INDEX):
        if index.is_file():
            return all((folder / name).is_file() for name in set(json.loads(index.read_text())["weight_map"].values()))
    return any(folder.glob("*.safetensors")) or (folder / PICKLED_SINGLE).is_file()


def fetch(repository: str, revision: str | None = None, *, offline: bool) -> Path:
    """Return the snapshot of a hub model, downloading what the cache lacks.

    Raises:
        Offline: it is not in the cache and the network may not be used.
        PullFailed: the hub cannot be reached, or breaks off.
        ModelNotFound: the hub has no such model, or hides it from this user.
        NotALanguageModel: it has pickled weights alone, of a kind that is not read.
        DiskFull: the hub's cache has no room for it.
    """
    here = cached(repository, revision)
    if here is not None:
        return here
    if offline:
        raise Offline(f"'{repository}' is not in the hub's cache {cache_dir()}; fetching it")
    if not reachable():
        raise PullFailed(repository, f"{endpoint()} does not answer")
    return _download(repository, revision)


def endpoint() -> str:
    """Return the hub's address."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def token() -> str | None:
    """Return what this user is known by to the hub: from the environment, or from ``.env`` in the working folder."""
    from dotenv import dotenv_values

    written = dotenv_values(".env")
    return next((found for source in (os.environ, written) for name in TOKENS if (found := source.get(name))), None)


def reachable() -> bool:
    """Whether the hub answers at all; asked once a process."""
    return _answers(endpoint())


@functools.cache
def _answers(address: str) -> bool:
    """Wait in a thread: looking up a name has no time limit of its own."""
    asked = threading.Event()
    answered: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=PROBE_SECONDS).close()
            answered.append(True)
        except urllib.error.HTTPError:  # an answer, if not a friendly one
            answered.append(True)
        except (OSError, ValueError):
            pass
        finally:
            asked.set()

    threading.Thread(target=ask, daemon=True, name="hub probe").start()
    asked.wait(PROBE_SECONDS)
    return bool(answered)


def _download(repository: str, revision: str | None) -> Path:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # What breaks off below HTTP is an error of the hub client's own HTTP library, whichever that is.
    broken: tuple[type[Exception], ...] = (*cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__), OSError)
    try:
        return _snapshot(repository, revision)
    except GatedRepoError as error:
        raise ModelNotFound(repository, "Accept its licence on its page and set HF_TOKEN.") from error
    except RepositoryNotFoundError as error:
        raise ModelNotFound(repository, "The hub shows none; if it is private, set HF_TOKEN.") from error
    except RevisionNotFoundError as error:
        raise ModelNotFound(f"{repository} at revision {revision}", "See its page for branches and tags.") from error
    except HFValidationError as error:
        raise ModelNotFound(repository, "The hub gives no model such a name; it is OWNER/NAME.") from error
    except broken as error:
        raise PullFailed(repository, f"the download broke off ({type(error).__name__})") from error


def _snapshot(repository: str, revision: str | None) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.hf_api import RepoFile

    tree = HfApi(endpoint=endpoint(), token=token()).list_repo_tree(repository, recursive=True, revision=revision)
    sizes = {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
    refuse_pickles(repository, list(sizes))
    wanted = wanted_of(list(sizes))
    with room_for(cache_dir(), sum(sizes[name] for name in wanted)):
        path = snapshot_download(
            repository, revision=revision, cache_dir=cache_dir(), endpoint=endpoint(), token=token(),
            allow_patterns=[glob.escape(name) for name in wanted],
        )  # fmt: skip
    return Path(path)


def wanted_of(names: Sequence[str]) -> list[str]:
    """Return the files that are fetched of a repository; of a pipeline no variants where there are plain weights.

    Copies of the same model for other programs lie in subfolders.
    """
    if PIPELINE not in names:
        safe = any(name.endswith(".safetensors") and "/" not in name for name in names)
        own = [name for name in names if "/" not in name and not (safe and name == PICKLED_INDEX)]
        return [name for name in own if _matches(name) or (not safe and fnmatch.fnmatch(name, _PICKLED))]
    found = [PIPELINE]
    for part in PARTS:
        own = [name for name in names if name.rpartition("/")[0] == part and _matches(name.rpartition("/")[2])]
        weights = [name for name in own if ".safetensors" in name]
        plain = [name for name in weights if "." not in name.rpartition("/")[2].partition(".safetensors")[0]]
        found += [name for name in own if name not in weights or name in (plain or weights)]
    return found


def _matches(name: str) -> bool:
    return any(fnmatch.fnmatch(name, one) for one in WANTED)


def refuse_pickles(repository: str, files: Sequence[str]) -> None:
    """Accept a repository's list of files only if it has safetensors, or a model's weights as torch writes them.

    Raises:
        NotALanguageModel: it has neither.
    """
    place = WEIGHED[0] if PIPELINE in files else ""
    if not place and {PICKLED_SINGLE, PICKLED_INDEX} & set(files):
        return
    if any(name.endswith(".safetensors") and name.rpartition("/")[0] == place for name in files):
        return
    pickled = any(name.endswith((".bin", ".pt", ".pth")) for name in files)
    raise NotALanguageModel(repository, PICKLED if pickled else "it has no safetensors")
