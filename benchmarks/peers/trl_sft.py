"""TRL's side of the training benchmark: one configuration in one process; prints one JSON line.

    python benchmarks/peers/trl_sft.py '{"model": ..., "rows": ..., "config": "default", "method": "lora", ...}'

Rows come as conversational prompt and completion, on which TRL trains the completion only, as tunesmith does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ["HF_HUB_OFFLINE"] = "1"

START = time.time()

CONFIGS = {
    "default": {"weights": "float32", "arguments": {}},
    "bf16": {"weights": "bfloat16", "arguments": {"gradient_checkpointing": False}},
    "packed": {"weights": "bfloat16", "arguments": {"gradient_checkpointing": False, "packing": True}},
    "padding_free": {"weights": "bfloat16", "arguments": {"gradient_checkpointing": False, "padding_free": True}},
    "fp32": {"weights": "float32", "arguments": {"gradient_checkpointing": False, "bf16": False}},
}


def main() -> None:
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    job = json.loads(sys.argv[1])
    config = CONFIGS[job["config"]]
    torch.set_num_threads(job["threads"])
    with open(job["rows"]) as file:
        rows = [json.loads(line)["messages"] for line in file]
    rows = rows[: job["rows_used"]]
    dataset = Dataset.from_list([{"prompt": row[:-1], "completion": row[-1:]} for row in rows])
    tokenizer = AutoTokenizer.from_pretrained(job["model"])
    model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=getattr(torch, config["weights"]))
    arguments = dict(config["arguments"])
    if arguments.get("packing"):
        arguments["max_length"] = job["pack_length"]
    else:
        arguments["max_length"] = job["length"]
    lora = None
    if job["method"] == "lora":
        lora = LoraConfig(r=job["rank"], lora_alpha=2 * job["rank"], lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")
    times: list[float] = []
    logs: list[dict] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            times.append(time.time())

        def on_log(self, args, state, control, logs_=None, **kwargs):
            logs.append({k: v for k, v in (kwargs.get("logs") or logs_ or {}).items() if isinstance(v, (int, float))})

    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=job["scratch"],
            per_device_train_batch_size=job["batch"],
            gradient_accumulation_steps=job["accumulation"],
            max_steps=job["steps"],
            learning_rate=job["learning_rate"],
            lr_scheduler_type="constant",
            warmup_steps=0,
            weight_decay=0.0,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            seed=0,
            use_cpu=not torch.cuda.is_available(),
            **arguments,
        ),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[Clock()],
    )
    begin = time.time()
    trainer.train()
    steps = [row for row in logs if "loss" in row]
    print(
        "RESULT "
        + json.dumps(
            {
                "first_step_seconds": times[0] - START,
                "train_begin_seconds": begin - START,
                "step_seconds": [b - a for a, b in zip(times, times[1:], strict=False)],
                "losses": [row["loss"] for row in steps],
                "grad_norms": [row.get("grad_norm") for row in steps],
                "num_tokens": [row.get("num_tokens") for row in steps],
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
