"""A plan with nothing left open, made without looking at any model, data or machine."""

from __future__ import annotations

from pathlib import Path

from tunesmith.spec.job import DatasetRef, JobSpec, ModelRef, Output, Resources
from tunesmith.spec.plan import DataFacts, DeviceFacts, Execution, MemoryEstimate, ModelFacts, Plan
from tunesmith.spec.recipe import BatchRecipe, Method, Recipe

MODEL = ModelFacts(
    source="tiny",
    path="/models/tiny",
    architecture="LlamaForCausalLM",
    model_type="llama",
    parameters=1000,
    layers=2,
    hidden=32,
    intermediate=64,
    heads=4,
    kv_heads=2,
    vocabulary=259,
    max_length=512,
    dtype="fp32",
    tied_embeddings=True,
    linear_layers=["q_proj"],
    fingerprint="0" * 64,
)


def sample_plan(
    output: Path,
    *,
    does: str = "train",
    epochs: float = 1.0,
    max_steps: int | None = 3,
    model: ModelFacts = MODEL,
) -> Plan:
    """A plan whose scripted worker (``scripted_worker.py``) does ``does``."""
    recipe = Recipe(method=Method.LORA, epochs=epochs, max_steps=max_steps, batch=BatchRecipe(size=2, accumulation=2))
    return Plan(
        spec=JobSpec(
            name="faq",
            model=ModelRef(source="tiny"),
            datasets=[DatasetRef(uri="chat.jsonl")],
            recipe=recipe,
            output=Output(dir=str(output)),
            resources=Resources(threads=1),
            labels={"does": does},
        ),
        model=model,
        device=DeviceFacts(kind="cpu", name="a processor", count=1, memory=2**33, cores=2, bf16=False),
        data=DataFacts(
            rows=40,
            exact=True,
            sampled=40,
            formats={"openai": 40},
            kinds={"conversation": 40},
            lengths={"p50": 10, "p95": 12, "p99": 12, "max": 12},
            mean_length=10.0,
            trained_share=0.5,
            faults=0,
        ),
        execution=Execution(
            device="cpu",
            processes=1,
            threads=1,
            attention="stock",
            fused=False,
            family="llama",
            tokens_per_second=1.0,
        ),
        decisions=[],
        memory=MemoryEstimate(
            weights=1, gradients=1, optimizer=1, activations=1, logits=1, overhead=1, available=2**33
        ),
        steps=3,
        seconds=3.0,
        warnings=[],
        length_chosen=True,
        split_chosen=True,
    )
