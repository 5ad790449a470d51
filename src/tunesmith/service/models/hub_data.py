"""Data sets of the Hugging Face hub: what its cache on this machine holds, and fetching the files of rows it lacks."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from tunesmith.data import archives
from tunesmith.data.files import is_rows, layout_at
from tunesmith.data.hub_folder import Layout, complete, layout_of
from tunesmith.runs.durable import room_for
from tunesmith.service.models import hub
from tunesmith.spec.errors import DataNotFound, PullFailed, UnreadableData

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_README: Final = "README.md"


def fetch(name: str, choice: Sequence[str], *, offline: bool) -> Path:
    """Return the snapshot that holds a part of a hub's data set, downloading what the cache lacks.

    ``name`` is ``owner/name``, or a bare name as the hub's oldest data sets have; ``choice`` as in ``Layout.chosen``.
    All splits of a configuration come together.

    Raises:
        DataNotFound: the hub has no such data set or part, or hides it, or may not be asked.
        UnreadableData: no file of it can be read as rows.
        PullFailed: the download breaks off.
        DiskFull: the hub's cache has no room for it.
    """
    asked = ":".join([name, *choice])
    here = cached(name, choice)
    if here is not None:
        return here
    if offline:
        raise DataNotFound(
            asked, f"No file is called so, the hub's cache {hub.cache_dir()} lacks it, and --offline is set"
        )
    if not hub.reachable():
        raise DataNotFound(
            asked, f"No file is called so, and the hub cannot be asked: {hub.endpoint()} does not answer"
        )
    return _download(name, choice, asked)


def cached(name: str, choice: Sequence[str] = ()) -> Path | None:
    """Return the snapshot in the hub's cache that holds all files of a part of a data set."""
    repository = name.replace("/", "--")
    folders = [hub.cache_dir() / f"datasets--{repository}"]
    if "/" not in name:
        folders += sorted(hub.cache_dir().glob(f"datasets--*--{glob.escape(name)}"))
    snapshots = (snapshot for folder in folders for snapshot in _snapshots(folder))
    return next((snapshot for snapshot in snapshots if _holds(snapshot, choice)), None)


def _snapshots(folder: Path) -> list[Path]:
    reference = folder / "refs" / "main"
    commit = reference.read_text().strip() if reference.is_file() else ""
    return [each for each in (folder / "snapshots").glob("*") if not commit or each.name == commit]


def _holds(snapshot: Path, choice: Sequence[str]) -> bool:
    layout = layout_at(snapshot)
    if layout is None:
        names = [path.name for path in snapshot.rglob("*")]
        return any(is_rows(name) or archives.is_archive(name) for name in names) and list(choice) in ([], ["train"])
    names = list(layout.chosen(choice))
    return bool(names) and complete(names)


def _download(name: str, choice: Sequence[str], asked: str) -> Path:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    broken: tuple[type[Exception], ...] = (*cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__), OSError)
    try:
        return _Repository.of(HfApi(endpoint=hub.endpoint(), token=hub.token()), name).fetch(choice, asked)
    except GatedRepoError as error:
        raise DataNotFound(asked, "Accept its terms on its page on the hub and set HF_TOKEN") from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        why = "No file is called so, and the hub shows no such data set (if it is private, set HF_TOKEN)"
        raise DataNotFound(asked, why) from error
    except broken as error:
        raise PullFailed(asked, f"the download broke off ({type(error).__name__})") from error


@dataclass(frozen=True)
class _Repository:
    """A data set on the hub and its files."""

    api: HfApi
    id: str
    commit: str
    sizes: dict[str, int]

    @staticmethod
    def of(api: HfApi, name: str) -> _Repository:
        """Ask the hub what a data set is called, and which files it has."""
        from huggingface_hub.hf_api import RepoFile

        info = api.dataset_info(name)
        tree = api.list_repo_tree(info.id, repo_type="dataset", recursive=True, revision=info.sha)
        sizes = {entry.path: entry.size for entry in tree if isinstance(entry, RepoFile)}
        return _Repository(api, info.id, info.sha or "main", sizes)

    def fetch(self, choice: Sequence[str], asked: str) -> Path:
        """Download the files of the chosen configuration."""
        wanted = self._wanted(choice, asked)
        with room_for(hub.cache_dir(), sum(self.sizes[name] for name in wanted)):
            path = self.api.snapshot_download(
                self.id,
                repo_type="dataset",
                cache_dir=hub.cache_dir(),
                allow_patterns=[_README, *(glob.escape(name) for name in wanted)],
            )
        return Path(path)

    def _wanted(self, choice: Sequence[str], asked: str) -> list[str]:
        rows = [name for name in self.sizes if is_rows(name)]
        layout = layout_of(rows, self._readme())
        if layout is not None:
            return self._of_config(layout, choice, asked)
        if list(choice) not in ([], ["train"]):
            raise DataNotFound(asked, "It has no splits: give its name alone")
        found = rows or [name for name in self.sizes if archives.is_archive(name)]
        if not found:
            scripts = [name for name in self.sizes if name.endswith(".py")]
            why = (
                f"it is made by a program of its own ({scripts[0]}), which is not run"
                if scripts
                else "no file has rows"
            )
            raise UnreadableData(asked, why, [])
        return found

    def _of_config(self, layout: Layout, choice: Sequence[str], asked: str) -> list[str]:
        config = layout.config_of(choice)
        if config is None or not layout.chosen(choice):
            raise DataNotFound(asked, layout.offer(asked.split(":")[0]))
        return [name for names in layout.configs[config].values() for name in names]

    def _readme(self) -> str:
        if _README not in self.sizes:
            return ""
        path = self.api.hf_hub_download(
            self.id, _README, repo_type="dataset", revision=self.commit, cache_dir=hub.cache_dir()
        )
        return Path(path).read_text(errors="replace")
