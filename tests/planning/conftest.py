from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tunesmith.modalities import MODALITIES, text
from tunesmith.modalities.base import Modality, family_of
from tunesmith.planning.resolve import resolve
from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef
from tunesmith.spec.plan import DataFacts, DeviceFacts, ModelFacts, Plan

GIB = 2**30


def llama(parameters: int, *, hidden: int, intermediate: int, layers: int, heads: int, vocabulary: int) -> ModelFacts:
    """A Llama of these shapes, with as many key and value heads as heads."""
    widths = {name: 2 * hidden * layers for name in ("k_proj", "o_proj", "q_proj", "v_proj")}
    widths |= {name: (hidden + intermediate) * layers for name in ("down_proj", "gate_proj", "up_proj")}
    return ModelFacts(
        source="some/model",
        path="/models/some",
        architecture="LlamaForCausalLM",
        model_type="llama",
        parameters=parameters,
        linear_parameters=layers * hidden * (4 * hidden + 3 * intermediate),
        layers=layers,
        hidden=hidden,
        intermediate=intermediate,
        heads=heads,
        kv_heads=heads,
        vocabulary=vocabulary,
        max_length=4096,
        dtype="bf16",
        tied_embeddings=False,
        linear_layers=sorted(widths),
        linear_widths=widths,
        fingerprint="0" * 64,
    )


SMALL = llama(135_000_000, hidden=576, intermediate=1536, layers=30, heads=9, vocabulary=49_152)
SEVEN = llama(6_740_000_000, hidden=4096, intermediate=11_008, layers=32, heads=32, vocabulary=32_000)
THIRTEEN = llama(13_016_000_000, hidden=5120, intermediate=13_824, layers=40, heads=40, vocabulary=32_000)
CPU = DeviceFacts(kind="cpu", name="a processor", count=1, memory=16 * GIB, cores=8, bf16=True)
GPU = DeviceFacts(kind="cuda", name="NVIDIA A100-SXM4-40GB", count=1, memory=40 * GIB, cores=16, bf16=True)
CHATS = DataFacts(
    rows=3200,
    exact=True,
    sampled=2000,
    formats={"openai": 2000},
    kinds={"conversation": 2000},
    lengths={"p50": 55, "p95": 90, "p99": 110, "max": 121},
    mean_length=58.0,
    trained_share=0.4,
)


@dataclass(frozen=True)
class World:
    """A model, a machine and data to plan for."""

    model: ModelFacts = SMALL
    device: DeviceFacts = CPU
    data: DataFacts = CHATS
    modality: Modality = text.MODALITY

    def spec(self, **job: Any) -> JobSpec:
        return JobSpec.model_validate(
            {"model": ModelRef(source="some/model"), "datasets": [DatasetRef(uri="data/chat.jsonl")], **job}
        )

    def plan(self, **job: Any) -> Plan:
        return self.resolve(self.spec(**job))

    def resolve(self, spec: JobSpec) -> Plan:
        family = family_of(self.model.model_type, self.modality.families)
        return resolve(spec, self.model, self.device, self.data, family, self.modality)

    def but(self, *, model: dict[str, Any] | None = None, **facts: Any) -> World:
        """The same world with other facts: of the model, and of device or data by field name."""
        device = {name: facts[name] for name in facts if name in DeviceFacts.model_fields}
        data = {name: facts[name] for name in facts if name in DataFacts.model_fields}
        return World(
            self.model.model_copy(update=model or {}),
            self.device.model_copy(update=device),
            self.data.model_copy(update=data),
            self.modality,
        )


def media_world(modality: str, model_type: str, kind: str, *, patches: int = 196) -> World:
    """A small model of pictures or sounds, and 3,200 rows of a kind for it, each of so many patches or frames."""
    table = MODALITIES[modality]
    family = family_of(model_type, table.families)
    widths = {name: 24 * 768 for name in family.targets or ()}
    facts = {
        "model_type": model_type, "kind": family.kind, "modality": modality, "unit_bytes": family.unit_bytes,
        "max_length": family.max_length, "linear_layers": sorted(widths), "linear_widths": widths,
    }  # fmt: skip
    lengths = dict.fromkeys(("p50", "p95", "p99", "max"), patches)
    rows = {"kinds": {kind: 2000}, "lengths": lengths, "mean_length": float(patches)}
    return World(SMALL.model_copy(update=facts), CPU, CHATS.model_copy(update=rows), table)


@pytest.fixture
def world() -> World:
    """SmolLM2-135M on eight cores, 3,200 short conversations."""
    return World()


@pytest.fixture
def seven() -> World:
    """Llama-2-7B on a GPU of 16 GB (as its driver counts them: 15 GiB)."""
    return World(model=SEVEN, device=GPU.model_copy(update={"memory": 15 * GIB, "name": "Tesla V100"}))
