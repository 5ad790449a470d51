"""Folders that are laid out like the data sets of a hub: configurations, and in each of them splits.

Either the YAML at the head of ``README.md`` says under ``configs`` which files are which split, or the names of files
and folders do: ``train.jsonl``, ``data/validation-00000-of-00002.parquet``, ``test/a.csv``. Works on names alone, so
that it is known before anything is downloaded which files are needed.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

import yaml

from tunesmith.data.compression import split_suffixes

SPLITS: Final = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
"""What the three splits are called."""

_SHARD: Final = re.compile(r"[-_.]?\d+(-of-(\d+))?$")
_HEAD: Final = re.compile(r"---\s*\n(.*?)\n---\s*(\n|$)", re.DOTALL)

Files = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Names of files by configuration and split."""

    configs: dict[str, dict[str, Files]]
    default: str | None
    """Configuration that is meant where none is named; None where one has to be named."""
    written: bool
    """Whether the README says so, not the names of files and folders."""
    others: Files
    """Files of rows that are in no split."""

    def chosen(self, choice: Sequence[str]) -> Files:
        """Return the files of ``[]``, ``[split]``, ``[config]`` or ``[config, split]``; none if there is no such part.

        One word is a split if there is one of that name, else a configuration; without a split it is ``train``.
        """
        if len(choice) == 2:
            return self.split(choice[0], choice[1])
        if not choice:
            return self.split(self.default, "train")
        return self.split(self.default, choice[0]) or self.split(choice[0], "train")

    def config_of(self, choice: Sequence[str]) -> str | None:
        """Return the configuration in which ``chosen`` looks."""
        if len(choice) == 2 or (choice and not self.split(self.default, choice[0])):
            return choice[0] if choice[0] in self.configs else None
        return self.default

    def split(self, config: str | None, name: str) -> Files:
        """Return the files of a split, by its name or another that means the same; none if there is no such split."""
        found = self.name_of(config, name)
        return self.configs[config][found] if config is not None and found is not None else ()

    def name_of(self, config: str | None, split: str) -> str | None:
        """Return what a configuration calls a split; its only split is ``train``, whatever its name."""
        splits = self.configs.get(config, {}) if config is not None else {}
        same = next((names for names in SPLITS.values() if split in names), ())
        found = next((each for each in (split, *same) if each in splits), None)
        return next(iter(splits)) if found is None and split == "train" and len(splits) == 1 else found

    def offer(self, name: str) -> str:
        """Say what can be named."""
        several = len(self.configs) > 1
        there = [f"{config}:{split}" if several else split for config in self.configs for split in self.configs[config]]
        return f"There is {', '.join(f'{name}:{each}' for each in there[:20])}"


def layout_of(names: Sequence[str], readme: str) -> Layout | None:
    """Return the layout of a folder with files of these names (of rows, relative); None if there is none to see."""
    written = _written(names, readme)
    configs = _seen(names) if written is None else written
    configs = {config: splits for config, splits in configs.items() if splits}
    if not configs:
        return None
    default = _default(readme)
    if default not in configs:
        default = "default" if "default" in configs else next(iter(configs)) if len(configs) == 1 else None
    used = {name for splits in configs.values() for files in splits.values() for name in files}
    others = tuple(name for name in names if name not in used)
    return Layout(configs, default, written is not None, others)


def complete(names: Sequence[str]) -> bool:
    """Whether no file of a series such as ``train-00000-of-00002`` is missing."""
    series: dict[tuple[str, int], int] = {}
    for name in names:
        shard = _SHARD.search(_stem(name))
        if shard and shard[2]:
            key = (name[: name.rindex(shard[0])], int(shard[2]))
            series[key] = series.get(key, 0) + 1
    return all(count >= wanted for (_, wanted), count in series.items())


def _head(readme: str) -> Mapping[str, object]:
    found = _HEAD.match(readme)
    try:
        head = yaml.safe_load(found[1]) if found else None
    except (yaml.YAMLError, ValueError, RecursionError):
        head = None
    return head if isinstance(head, Mapping) else {}


def _written_configs(readme: str) -> list[Mapping[str, object]]:
    configs = _head(readme).get("configs")
    return [each for each in configs if isinstance(each, Mapping)] if isinstance(configs, list) else []


def _default(readme: str) -> str | None:
    named = (str(each.get("config_name")) for each in _written_configs(readme) if each.get("default") is True)
    return next(named, None)


def _written(names: Sequence[str], readme: str) -> dict[str, dict[str, Files]] | None:
    """Return what the README says, or None if it says nothing of files."""
    configs = [each for each in _written_configs(readme) if "data_files" in each or "data_dir" in each]
    if not configs:
        return None
    return {str(each.get("config_name", "default")): _splits(each, names) for each in configs}


def _splits(config: Mapping[str, object], names: Sequence[str]) -> dict[str, Files]:
    folder = str(config.get("data_dir") or "").strip("./")
    below = [name for name in names if not folder or name.startswith(f"{folder}/")]
    if "data_files" not in config:
        return _by_name(below) or ({"train": tuple(below)} if below else {})
    patterns = _patterns(config["data_files"])
    found = {split: [name for name in below if _fits(name, folder, wanted)] for split, wanted in patterns.items()}
    return {split: tuple(files) for split, files in found.items() if files}


def _patterns(data_files: object) -> dict[str, list[str]]:
    """Return patterns by split; a bare pattern or a list of them is the training data."""
    if isinstance(data_files, Mapping):
        return {str(split): _listed(paths) for split, paths in data_files.items()}
    entries = data_files if isinstance(data_files, list) else [data_files]
    found: dict[str, list[str]] = {}
    for entry in entries:
        split, paths = (
            (entry.get("split", "train"), entry.get("path")) if isinstance(entry, Mapping) else ("train", entry)
        )
        found.setdefault(str(split), []).extend(_listed(paths))
    return found


def _listed(paths: object) -> list[str]:
    return [str(path) for path in (paths if isinstance(paths, list) else [paths])]


def _fits(name: str, folder: str, patterns: Sequence[str]) -> bool:
    relative = name.removeprefix(f"{folder}/")
    wanted = [pattern.removeprefix("./").replace("**/", "*") for pattern in patterns]
    return any(
        each in (candidate, f"{PurePosixPath(candidate).parent}")
        or fnmatch.fnmatchcase(candidate, each.replace("**/", "*"))
        for each in wanted
        for candidate in {name, relative}
    )


def _seen(names: Sequence[str]) -> dict[str, dict[str, Files]]:
    """Return what the names say: splits in the folder itself, or configurations that are folders with splits."""
    here = _by_name([name for name in names if _depth(name) == 0])
    if here:
        return {"default": here}
    tops = sorted({PurePosixPath(name).parts[0] for name in names})
    configs = {
        top: _by_name([name for name in names if PurePosixPath(name).parts[0] == top], skip=1)
        for top in tops
        if _split_named(top) is None and top != "data"
    }
    return {top: splits for top, splits in configs.items() if splits} or {"default": {}}


def _depth(name: str) -> int:
    """How many folders a file lies in before one says what the split is; one that is called ``data`` says nothing."""
    folders = [folder for folder in PurePosixPath(name).parts[:-1] if folder != "data"]
    return next((depth for depth, folder in enumerate(folders) if _split_named(folder)), len(folders))


def _by_name(names: Sequence[str], skip: int = 0) -> dict[str, Files]:
    """Sort files by the split that their name, or that of a folder, stands for; without ``train`` there is none."""
    found: dict[str, list[str]] = {}
    for name in names:
        words = [*PurePosixPath(name).parts[skip:-1], _stem(name)]
        split = next((split for word in words if (split := _split_named(word))), None)
        if split:
            found.setdefault(split, []).append(name)
    ordered = {split: tuple(found[split]) for split in SPLITS if split in found}
    return ordered if "train" in ordered else {}


def _stem(name: str) -> str:
    """Return the name of a file without its type and compression."""
    file = PurePosixPath(name).name
    kind, compressed = split_suffixes(file)
    return file[: len(file) - len(kind) - len(compressed)]


def _split_named(word: str) -> str | None:
    bare = _SHARD.sub("", word.lower())
    return next((split for split, names in SPLITS.items() if bare in names), None)
