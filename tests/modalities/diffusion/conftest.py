from __future__ import annotations

import csv
from pathlib import Path

import pytest

from made_pipelines import draw_shapes, write_sd, write_sdxl


@pytest.fixture(scope="session")
def sd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline laid out like Stable Diffusion 1.5 (read only)."""
    return write_sd(tmp_path_factory.mktemp("pipelines") / "sd")


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny pipeline laid out like Stable Diffusion XL (read only)."""
    return write_sdxl(tmp_path_factory.mktemp("pipelines") / "sdxl")


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty pictures of shapes with a list of prompts (read only)."""
    folder = tmp_path_factory.mktemp("shapes")
    made = draw_shapes(folder / "images", 20)
    with (folder / "data.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["prompt", "image_path"])
        rows.writerows((prompt, f"images/{name}") for name, prompt in made)
    return folder
