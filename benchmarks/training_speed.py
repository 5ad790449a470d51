"""Training speed of tunesmith beside TRL, on the same tokens, LoRA settings and effective batch, in one run.

    make bench                                  # the whole grid: short and long rows; LoRA, QLoRA and full; DPO
    make bench ARGS="--only short-lora --steps 6"

Each measurement is a process of its own. Losses and gradient norms stand beside the speeds, because a fast step that
computes something else is worth nothing: both sides take the same rows in the same order, with dropout off, so the
losses agree to the noise of 16-bit numbers. Speed is real tokens (no padding; rows counted whole) divided by time, the
median over the steps after the first two.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PEER = ROOT / ".bench" / "bin" / "python"
WORDS = "the model reads a short question and answers it with care because every token counts in this test"
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SETTLED = 2
"""First steps that are not counted: caches fill and buffers grow."""


@dataclass(frozen=True)
class Case:
    """One cell of the grid."""

    name: str
    rows: str
    method: str
    batch: int
    length: int
    pack_length: int
    as_it_comes: float | None
    """Required ratio to TRL as it comes."""
    at_best: float
    """Required ratio to TRL in its best configuration."""
    task: str = "chat"

    @property
    def learning_rate(self) -> float:
        if self.task == "dpo":
            return 5e-5
        return 2e-5 if self.method == "full" else 2e-4

    @property
    def losses_apart(self) -> float:
        """By how much losses of the same rows may differ, as a share of them.

        That of a pair counts small differences between sums of log probabilities, of which 16-bit numbers are noisy.
        """
        return 0.1 if self.task == "dpo" else 0.03

    @property
    def peers(self) -> tuple[str, ...]:
        """TRL's configurations; of preference tuning it has no packed one, and none without padding."""
        return ("default", "bf16") if self.task == "dpo" else PEERS


CASES = (
    Case("short-lora", "short", "lora", 8, 512, 512, 2.9, 2.0),
    Case("long-lora", "long", "lora", 4, 1024, 1024, None, 2.0),
    Case("short-qlora", "short", "qlora", 8, 512, 512, 2.5, 1.7),
    Case("long-qlora", "long", "qlora", 4, 1024, 1024, None, 1.0),
    Case("short-full", "short", "full", 8, 512, 512, None, 1.0),
    Case("long-full", "long", "full", 4, 1024, 1024, None, 1.0),
    Case("dpo", "pairs", "lora", 4, 512, 512, 2.3, 1.9, task="dpo"),
)
PEERS = ("default", "bf16", "padding_free", "packed")
BETA = 0.1
HELD_OUT = 16
"""Pairs on which both sides are measured before the first step and after the last."""
RANK = 16


def main() -> None:
    arguments = parse()
    model = find_model(arguments.model)
    with tempfile.TemporaryDirectory(prefix="tunesmith-bench-") as scratch:
        files = write_rows(Path(scratch), arguments.steps)
        ceiling = matmul_ceiling()
        print(f"matrix products in bf16 reach {ceiling / 1e9:,.0f} GFLOP/s here\n")
        results = [measure(case, model, files[case.rows], Path(scratch), arguments) for case in chosen(arguments.only)]
    missed = [miss for case, ours, peers in results for miss in report(case, ours, peers, ceiling)]
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([[case.name, ours, peers] for case, ours, peers in results]))
    if missed:
        raise SystemExit("\nMISSED\n  " + "\n  ".join(missed))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a SmolLM2-135M-Instruct (default: the pulled one)")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--only", help="comma list of " + ", ".join(case.name for case in CASES))
    parser.add_argument("--peers", help="comma list of TRL's configurations to run (default: all that a case has)")
    parser.add_argument("--json", help="also write the figures into this file")
    return parser.parse_args()


def chosen(only: str | None) -> list[Case]:
    return [case for case in CASES if only is None or case.name in only.split(",")]


def find_model(given: str | None) -> Path:
    if given:
        return Path(given)
    from tunesmith.service.models.pull import pull
    from tunesmith.settings import load_settings

    return pull("smollm2-135m-instruct", load_settings(), lambda *_: None)


def write_rows(folder: Path, steps: int) -> dict[str, Path]:
    """Short rows of about 60 tokens, multi-turn rows of about 700, of which only the last turn is trained, and pairs.

    Of pairs there are as many as the steps take: both sides compute the reference of all of them beforehand.
    """
    words = WORDS.split()
    random.seed(0)

    def sentence(low: int, high: int) -> str:
        return " ".join(random.choices(words, k=random.randint(low, high))) + "."

    short = [[user(sentence(5, 20)), assistant(sentence(5, 30))] for _ in range(400)]
    long = []
    for _ in range(200):
        turns = [
            turn
            for _ in range(random.randint(4, 10))
            for turn in (user(sentence(10, 30)), assistant(sentence(20, 60), 0))
        ]
        long.append([*turns, user(sentence(10, 30)), assistant(sentence(20, 60))])
    pairs = [
        {"prompt": sentence(20, 60), "chosen": sentence(15, 40), "rejected": sentence(8, 20).upper()}
        for _ in range(4 * steps + HELD_OUT)
    ]
    written = {
        "short": [{"messages": row} for row in short],
        "long": [{"messages": row} for row in long],
        "pairs": pairs[HELD_OUT:],
        "held-out": pairs[:HELD_OUT],
    }
    files = {name: folder / f"{name}.jsonl" for name in written}
    for name, rows in written.items():
        files[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


def user(content: str) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: str, weight: int = 1) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "weight": weight}


def measure(case: Case, model: Path, rows: Path, scratch: Path, arguments: argparse.Namespace) -> tuple[Case, Any, Any]:
    ours = run_tunesmith(case, model, rows, scratch, arguments.steps)
    show(case, "tunesmith", ours)
    ordered = in_our_order(case, model, rows, scratch, arguments.steps)
    peers = {}
    for config in arguments.peers.split(",") if arguments.peers else case.peers:
        peers[config] = run_trl(case, config, model, ordered, scratch, arguments.steps)
        show(case, f"trl {config}", peers[config])
    return case, ours, peers


def run_tunesmith(case: Case, model: Path, rows: Path, scratch: Path, steps: int) -> dict[str, Any]:
    home = scratch / f"home-{case.name}"
    flags: dict[str, Any] = {
        "model": model, "data": rows, "output": scratch / f"out-{case.name}", "method": case.method,
        "batch-size": case.batch, "gradient-accumulation-steps": 1, "max-steps": steps, "epochs": 100,
        "learning-rate": case.learning_rate, "schedule": "constant", "warmup-ratio": 0, "weight-decay": 0,
        "validation-split": 0, "max-seq-length": case.length, "seed": 0, "save-steps": 10_000,
    }  # fmt: skip
    if case.method != "full":
        flags |= {"lora-r": RANK, "lora-dropout": 0, "target-modules": ",".join(ALL_LINEAR)}
    if case.task == "dpo":
        del flags["validation-split"]
        held_out = rows.with_name("held-out.jsonl")
        flags |= {"task": "dpo", "dpo-beta": BETA, "validation-data": held_out, "eval-steps": steps}
    command = [str(Path(sys.executable).with_name("tunesmith")), "train", "--json", "--skip-test", "--no-tensorboard"]
    command += [part for name, value in flags.items() for part in (f"--{name}", str(value))]
    if case.method == "qlora":  # It recomputes activations unless told not to; TRL at its best does not.
        command.append("--no-gradient-checkpointing")
    began = time.time()
    done = subprocess.run(command, env={**os.environ, "TUNESMITH_HOME": str(home)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"tunesmith failed ({done.returncode}): {done.stderr[-2000:]}")
    run = json.loads(done.stdout.splitlines()[-1])
    events = [json.loads(line) for line in (home / "runs" / run["run"] / "events.jsonl").open()]
    made = [event for event in events if event["kind"] == "step"]
    evaluated = [event for event in events if event["kind"] == "evaluated"]
    measured = {
        "first_step_seconds": made[0]["time"] - began,
        "step_seconds": [event["seconds"] for event in made],
        "step_tokens": [event["tokens"] for event in made],
        "losses": [event["loss"] for event in made],
        "grad_norms": [event["grad_norm"] for event in made],
        "peak_memory_bytes": made[-1]["memory_bytes"],
        "trained": sum(event["trained_tokens"] for event in made) / sum(event["tokens"] for event in made),
    }
    if case.task == "dpo":
        margin = evaluated[-1]["metrics"]["reward_margin"]
        measured["held_out"] = {"loss": evaluated[-1]["validation_loss"], "margin": margin}
    return measured


def in_our_order(case: Case, model: Path, rows: Path, scratch: Path, steps: int) -> Path:
    """Write the same tokens and labels, in the order in which our steps take the rows."""
    from tunesmith.training.batching import step_rows

    lines = in_tokens(case, model, rows)
    if case.task == "dpo":
        held_out = in_tokens(case, model, rows.with_name("held-out.jsonl"))
        (scratch / "held-out-tokens.jsonl").write_text("".join(line + "\n" for line in held_out))
    order, epoch, place = [], 0, 0
    for _ in range(steps if case.task == "dpo" else steps * 12):
        taken = step_rows(len(lines), case.batch, 0, epoch, place)
        order += taken
        epoch, place = (epoch + 1, 0) if place + len(taken) >= len(lines) else (epoch, place + len(taken))
    path = scratch / f"ordered-{case.name}.jsonl"
    path.write_text("".join(lines[row] + "\n" for row in order))
    return path


def in_tokens(case: Case, model: Path, rows: Path) -> list[str]:
    """Return each row of a file, or each pair, as a line of JSON with its tokens."""
    from tunesmith.data.mixture import locate, stream
    from tunesmith.modalities.text.encode import TextEncoder
    from tunesmith.spec.job import DatasetRef

    encoder = TextEncoder(model)
    encoded = [encoder(row.example) for row in stream(locate([DatasetRef(uri=str(rows))]))]
    if case.task != "dpo":
        return [json.dumps({"input_ids": row.ids, "completion_mask": list(map(int, row.mask))}) for row, *_ in encoded]
    lines = []
    for chosen, rejected in encoded:
        begin = min(chosen.mask.index(True), rejected.mask.index(True))
        assert chosen.ids[:begin] == rejected.ids[:begin]
        pair = {
            "prompt_ids": chosen.ids[:begin],
            "chosen_ids": chosen.ids[begin:],
            "rejected_ids": rejected.ids[begin:],
        }
        lines.append(json.dumps(pair))
    return lines


def run_trl(case: Case, config: str, model: Path, rows: Path, scratch: Path, steps: int) -> dict[str, Any]:
    # A packed row holds many rows: as many packs as hold the tokens of our batch, and at least one.
    packs = max(1, case.batch * (60 if case.rows == "short" else 700) // case.pack_length)
    job = {
        "model": str(model), "rows": str(rows), "config": config, "method": case.method, "rank": RANK,
        "threads": len(os.sched_getaffinity(0)), "length": case.length, "pack_length": case.pack_length,
        "batch": packs if config == "packed" else case.batch, "accumulation": 1, "steps": steps,
        "learning_rate": case.learning_rate, "scratch": str(scratch / "trl"),
        "beta": BETA, "held_out": str(scratch / "held-out-tokens.jsonl"),
    }  # fmt: skip
    script = "trl_dpo.py" if case.task == "dpo" else "trl_sft.py"
    peer = [str(PEER), str(ROOT / "benchmarks" / "peers" / script), json.dumps(job)]
    # As it comes: no waiting policy for threads, which is the fastest for it on a quiet machine.
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(peer, env=plain, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not lines:
        return {"failed": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    result: dict[str, Any] = json.loads(lines[-1].removeprefix("RESULT "))
    return result


def speed(result: dict[str, Any]) -> float:
    """Median of real tokens a second, step by step, after the first steps."""
    pairs = list(zip(result["step_tokens"], result["step_seconds"], strict=True))[SETTLED:]
    return statistics.median(tokens / seconds for tokens, seconds in pairs)


def show(case: Case, name: str, result: dict[str, Any]) -> None:
    if "failed" in result:
        print(f"{case.name:12} {name:18} failed: {result['failed'][:100]}", flush=True)
        return
    losses = " ".join(f"{loss:.3f}" for loss in result["losses"][:4])
    norms = " ".join(f"{norm:.2f}" for norm in result["grad_norms"][:4])
    print(
        f"{case.name:12} {name:18} {speed(result):7.0f} tok/s  {result['peak_memory_bytes'] / 1e9:5.2f} GB  "
        f"first step {result['first_step_seconds']:5.1f} s  losses {losses}  norms {norms}{held_out(result)}",
        flush=True,
    )


def held_out(result: dict[str, Any]) -> str:
    """Say what the held-out pairs came to, where there are any."""
    found = result.get("held_out")
    return f"  held out: loss {found['loss']:.4f}, margin {found['margin']:.4f}" if found else ""


def report(case: Case, ours: dict[str, Any], peers: dict[str, Any], ceiling: float) -> list[str]:
    """Print how the two compare and return what falls short of what is required."""
    missed = [f"{case.name}: TRL {name} failed, so it was not compared" for name in peers if "failed" in peers[name]]
    whole = {name: peer for name, peer in peers.items() if "failed" not in peer}
    if not whole:
        return missed
    best = max(whole, key=lambda name: speed(whole[name]))
    mine = speed(ours)
    share = f", {mine * flops(case, ours) / ceiling:.0%} of the matrix-product ceiling" if case.task == "chat" else ""
    print(f"\n{case.name}: {mine:.0f} tok/s{share}")

    def require(what: str, value: float, limit: float, *, at_most: bool = False) -> None:
        print(f"  {value:.2f}x {what} (required {'at most ' if at_most else ''}{limit})")
        if value > limit if at_most else value < limit:
            missed.append(f"{case.name}: {value:.2f}x {what}, required {limit}")

    if "default" in whole:
        require("TRL as it comes", mine / speed(whole["default"]), case.as_it_comes or 1.0)
    require(f"TRL at its best ({best})", mine / speed(whole[best]), case.at_best)
    memory = ours["peak_memory_bytes"] / whole[best]["peak_memory_bytes"]
    require("the peak memory of TRL at its best", memory, 1.0 if case.method == "full" else 0.8, at_most=True)
    first = min(peer["first_step_seconds"] for peer in whole.values())
    require("the time to TRL's first step", ours["first_step_seconds"] / first, 1.0, at_most=True)
    for name in {"default", "bf16"} & set(whole):
        apart = max(abs(a / b - 1) for a, b in zip(ours["losses"], whole[name]["losses"], strict=False))
        require(f"the losses of TRL {name}: largest difference", apart, case.losses_apart, at_most=True)
    if case.task == "dpo":
        for name, found in {"tunesmith": ours, **whole}.items():
            # Not 0: the reference was computed in other micro-batches, and 16-bit sums depend on their shape.
            off = abs(found["losses"][0] - math.log(2))
            require(f"{name}: the first loss lies off ln 2 by as much", off, 5e-3, at_most=True)
    return missed


def flops(case: Case, ours: dict[str, Any]) -> float:
    """Floating-point operations a token: SmolLM2-135M's 106.2 M weights in layers, and its head where labels are."""
    layers, head = 106.2e6, 28.3e6 * ours["trained"]
    return (6 if case.method == "full" else 4) * (layers + head)


def matmul_ceiling() -> float:
    """FLOP/s of a bf16 matrix product of the shape that dominates."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    left = torch.randn(1024, 576, dtype=torch.bfloat16, device=device)
    right = torch.randn(576, 3072, dtype=torch.bfloat16, device=device)
    times = []
    for _ in range(30):
        began = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return 2 * 1024 * 576 * 3072 / min(times)


if __name__ == "__main__":
    main()
