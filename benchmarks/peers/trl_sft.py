"""TRL's side of the training benchmark: one configuration in one process; prints one JSON line.

    python benchmarks/peers/trl_sft.py '{"model": ..., "rows": ..., "config": "default", "method": "lora", ...}'

Rows come as tokens with the mask of what is trained, the same as tunesmith's.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

START = time.time()

import torch  # noqa: E402  (the variables above must be set before)
from datasets import Dataset  # noqa: E402
from peft import LoraConfig  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback  # noqa: E402
from trl import SFTConfig, SFTTrainer  # noqa: E402

CONFIGS = {
    "default": {"weights": "float32", "arguments": {}},
    "bf16": {"weights": "bfloat16", "arguments": {"gradient_checkpointing": False}},
    "packed": {"weights": "bfloat16", "arguments": {"gradient_checkpointing": False, "packing": True}},
    "padding_free": {"weights": "bfloat16", "arguments": {"gradient_checkpointing": False, "padding_free": True}},
    "fp32": {"weights": "float32", "arguments": {"gradient_checkpointing": False, "bf16": False}},
}


class InOrder(SFTTrainer):
    """Takes the rows in the order of the file, which is the order of the other side's steps."""

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)


class Clock(TrainerCallback):
    def __init__(self) -> None:
        self.begins: list[float] = []
        self.ends: list[float] = []
        self.logs: list[dict[str, float]] = []

    def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
        self.begins.append(time.time())

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.ends.append(time.time())

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        self.logs.append({name: value for name, value in (logs or {}).items() if isinstance(value, int | float)})


def main() -> None:
    job = json.loads(sys.argv[1])
    config = CONFIGS[job["config"]]
    torch.set_num_threads(job["threads"])
    with open(job["rows"]) as file:
        dataset = Dataset.from_list([json.loads(line) for line in file])
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    model = load(job, getattr(torch, config["weights"]))
    arguments = dict(config["arguments"])
    if arguments.get("packing"):
        arguments["max_length"] = job["pack_length"]
    else:  # No row is longer; TRL refuses to cut rows without padding.
        arguments["max_length"] = None if arguments.get("padding_free") else job["length"]
    clock = Clock()
    trainer = InOrder(
        model=model,
        args=SFTConfig(
            **settings(job),
            completion_only_loss=True,
            **arguments,
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=adapter(job),
        callbacks=[clock],
    )
    trainer.train()
    steps = [row for row in clock.logs if "loss" in row]
    tokens = [row["num_tokens"] for row in steps]
    result = {
        "first_step_seconds": clock.ends[0] - START,
        "step_seconds": [end - begin for begin, end in zip(clock.begins, clock.ends, strict=True)],
        "step_tokens": [b - a for a, b in zip([0, *tokens], tokens, strict=False)],
        "losses": [row["loss"] for row in steps],
        "grad_norms": [row.get("grad_norm", float("nan")) for row in steps],
        "peak_memory_bytes": peak_memory(),
    }
    print("RESULT " + json.dumps(result))


def settings(job: dict[str, Any]) -> dict[str, Any]:
    """Return what every trainer is told alike."""
    return {
        "output_dir": job["scratch"],
        "per_device_train_batch_size": job["batch"],
        "gradient_accumulation_steps": job["accumulation"],
        "max_steps": job["steps"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "seed": 0,
        "use_cpu": not torch.cuda.is_available(),
    }


def adapter(job: dict[str, Any]) -> LoraConfig | None:
    """Return the adapter, where the method has one."""
    if job["method"] == "full":
        return None
    rank = job["rank"]
    return LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def load(job: dict[str, Any], dtype: torch.dtype) -> Any:
    if job["method"] != "qlora":
        return AutoModelForCausalLM.from_pretrained(job["model"], dtype=dtype)
    from transformers import BitsAndBytesConfig

    how = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    return AutoModelForCausalLM.from_pretrained(
        job["model"], dtype=dtype, quantization_config=how, device_map={"": place}
    )


def peak_memory() -> int:
    """Bytes: of the GPU where there is one, else of the process; as tunesmith measures its own."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
