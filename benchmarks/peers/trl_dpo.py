"""TRL's side of the preference benchmark: one configuration in one process; prints one JSON line.

    python benchmarks/peers/trl_dpo.py '{"model": ..., "rows": ..., "held_out": ..., "config": "default", ...}'

Pairs come as tokens, the same as tunesmith's. The reference is computed before the first step, and the held-out pairs
are evaluated before it and after the last, as tunesmith does.
"""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import trl_sft
from datasets import Dataset
from transformers import AutoTokenizer
from trl import DPOConfig, DPOTrainer
from trl_sft import CONFIGS, START, Clock, adapter, load, peak_memory, settings


class InOrder(DPOTrainer):
    """Takes pairs that are tokens already, in the order of the file."""

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        return dataset

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return trl_sft.torch.utils.data.SequentialSampler(self.train_dataset)


def main() -> None:
    job = json.loads(sys.argv[1])
    config = CONFIGS[job["config"]]
    trl_sft.torch.set_num_threads(job["threads"])
    clock = Clock()
    trainer = InOrder(
        model=load(job, getattr(trl_sft.torch, config["weights"])),
        args=DPOConfig(
            **settings(job),
            max_length=job["length"],
            beta=job["beta"],
            precompute_ref_log_probs=True,
            per_device_eval_batch_size=job["batch"],
            eval_on_start=True,
            **config["arguments"],
        ),
        train_dataset=pairs(job["rows"]),
        eval_dataset=pairs(job["held_out"]),
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
        peft_config=adapter(job),
        callbacks=[clock],
    )
    trainer.train()
    peak = peak_memory()
    found = trainer.evaluate()
    steps = [row for row in clock.logs if "loss" in row]
    tokens = [row["num_tokens"] for row in steps]
    result = {
        "first_step_seconds": clock.ends[0] - START,
        "step_seconds": [end - begin for begin, end in zip(clock.begins, clock.ends, strict=True)],
        "step_tokens": [b - a for a, b in zip([0, *tokens], tokens, strict=False)],
        "losses": [row["loss"] for row in steps],
        "grad_norms": [row.get("grad_norm", math.nan) for row in steps],
        "peak_memory_bytes": peak,
        "held_out": {"loss": found["eval_loss"], "margin": found["eval_rewards/margins"]},
    }
    print("RESULT " + json.dumps(result))


def pairs(path: str) -> Dataset:
    with open(path) as file:
        return Dataset.from_list([json.loads(line) for line in file])


if __name__ == "__main__":
    main()
