"""A tiny model with a trained adapter, served by a real process, and a client of its server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tunesmith.api.model_server.app import create_app
from tunesmith.api.model_server.model import ServedModel
from tunesmith.api.model_server.page import load_page
from tunesmith.service.serving.pool import ServingPool
from tunesmith.service.serving.standalone import named, standalone
from tunesmith.settings import Settings
from tunesmith.spec.job import Device

HERE = "http://localhost:8000"


@pytest.fixture(scope="package")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), rate_limit=0)


@pytest.fixture(scope="package")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(r=4, lora_alpha=64, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapters") / "lora"
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_model), config).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="package")
def model(settings: Settings, tiny_model: Path, adapter: Path) -> Iterator[ServedModel]:
    about = standalone(settings, named(str(tiny_model), adapter), device=Device.CPU, precision="fp32")
    pool = ServingPool(settings, device=about.device, precision=about.precision)
    pool.load(about.target)
    yield ServedModel(about, pool, load_page())
    pool.close()


@pytest.fixture
def client(model: ServedModel, settings: Settings) -> Iterator[TestClient]:
    """Somebody on this machine."""
    with TestClient(create_app(model, settings), base_url=HERE, raise_server_exceptions=False) as http:
        yield http


@pytest.fixture
def streaming(model: ServedModel, settings: Settings) -> Iterator[TestClient]:
    """The same where the server was started to stream."""
    with TestClient(create_app(replace(model, streams=True), settings), base_url=HERE) as http:
        yield http
