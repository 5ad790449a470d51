"""Tokens a second of several chats at once, beside one at a time and beside transformers' own server, in one run.

    .venv/bin/python benchmarks/serving.py --model FOLDER [--tokens 64] [--rounds 3] [--only batch servers ...]

- batch: eight chats through the decoder, beside transformers' generate with one after the other;
- adapters: eight chats with an adapter each, beside generate with PEFT, switching adapters, one after the other;
- memory: the highest resident memory of a process that answers eight chats with eight adapters, and with one;
- servers: eight clients of `tunesmith serve-model`, and of `transformers serve --continuous-batching`.

Both sides of a comparison take turns, and the median of each counts, because neither machine nor neighbours are quiet.
Prints one line of JSON for each figure. Ends with exit status 1 if one is below what we require of ourselves.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

CHATS = 8
LENGTHS = (20, 25, 31, 22, 40, 28, 35, 24)
"""Tokens of the prompts."""
QUESTIONS = ("What is the capital of France?", "Write a short story about a fox.", "How do I boil an egg?",
             "Explain why the sky is blue.", "Name five rivers.", "What is a prime number?",
             "Tell me about Rome.", "How does a bicycle stay upright?")  # fmt: skip
REQUIRED = {"batch": 2.5, "adapters": 2.5, "memory": 1 / 1.3, "servers": 1.0}
"""Least ratio of ours to theirs; of memory that with one adapter to that with eight."""
START = 240.0
"""Seconds within which a server has to answer."""
BIN = Path(sys.executable).parent


def main() -> int:
    """Measure what was asked for; return the exit status."""
    options = _options()
    if options.peak is not None:
        _answer_with(options, options.peak)
        return 0
    measures = {"batch": _batch, "adapters": _adapters, "memory": _memory, "servers": _servers}
    low = []
    for name in options.only:
        ours, theirs = measures[name](options)
        ratio = ours / theirs
        print(
            json.dumps({"measure": name, "ours": round(ours, 2), "theirs": round(theirs, 2), "ratio": round(ratio, 2)})
        )
        low += [name] if ratio < REQUIRED[name] else []
    print(json.dumps({"failed": low}))
    return 1 if low else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rank", type=int, default=16, help="of the adapters, which are on all linear layers")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--only", nargs="+", choices=tuple(REQUIRED), default=list(REQUIRED))
    parser.add_argument("--peak", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _batch(options: argparse.Namespace) -> tuple[float, float]:
    """Tokens a second of eight chats at once, and one after the other."""
    from tunesmith.generation.decoder import Decoder

    stock, decoder = _load(options), Decoder(_load(options))
    prompts = _prompts(stock)
    try:
        return _in_turns(
            options.rounds,
            lambda: _at_once(decoder, prompts, [None] * CHATS, options.tokens),
            lambda: sum(_generate(stock, ids, options.tokens) for ids in prompts[:2]),
        )
    finally:
        decoder.close()


def _adapters(options: argparse.Namespace) -> tuple[float, float]:
    """The same with an adapter for each chat; PEFT holds all of them and switches."""
    from peft import PeftModel

    from tunesmith.generation.decoder import Decoder

    with tempfile.TemporaryDirectory() as scratch:
        folders = _write_adapters(options, Path(scratch), CHATS)
        stock = PeftModel.from_pretrained(_load(options), str(folders[0]), adapter_name="0").eval()
        for number, folder in enumerate(folders[1:], 1):
            stock.load_adapter(str(folder), adapter_name=str(number))
        decoder = Decoder(_load(options))
        for number, folder in enumerate(folders):
            decoder.load_adapter(str(number), folder)
    prompts = _prompts(stock)

    def one_by_one() -> int:
        count = 0
        for number in range(2):
            stock.set_adapter(str(number))
            count += _generate(stock, prompts[number], options.tokens)
        return count

    try:
        keys = [str(number) for number in range(CHATS)]
        return _in_turns(options.rounds, lambda: _at_once(decoder, prompts, keys, options.tokens), one_by_one)
    finally:
        decoder.close()


def _memory(options: argparse.Namespace) -> tuple[float, float]:
    """Highest resident memory with one adapter, and with eight, in MiB: the fewer the better, so in this order."""
    found = []
    for count in (1, CHATS):
        command = [sys.executable, __file__, "--model", str(options.model), "--peak", str(count)]
        command += ["--tokens", str(options.tokens), "--rank", str(options.rank), "--precision", options.precision]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(float(done.stdout.splitlines()[-1]))
    return found[0], found[1]


def _answer_with(options: argparse.Namespace, count: int) -> None:
    """Answer eight chats with ``count`` adapters, in this process, and print its highest resident memory."""
    import torch

    from tunesmith.generation.decoder import Decoder
    from tunesmith.training.device import peak_memory

    with tempfile.TemporaryDirectory() as scratch:
        code = "import sys; sys.argv = ['']; import benchmarks.serving as s; s._write_in_child(*{!r})"
        asked = (str(options.model), options.precision, options.rank, scratch, count)
        subprocess.run([sys.executable, "-c", code.format(asked)], check=True, cwd=Path(__file__).parents[1])
        model = _load(options)
        decoder = Decoder(model)
        for number in range(count):
            decoder.load_adapter(str(number), Path(scratch) / str(number))
    _at_once(decoder, _prompts(model), [str(number % count) for number in range(CHATS)], options.tokens)
    decoder.close()
    print(peak_memory(torch.device("cpu")) / 2**20)


def _servers(options: argparse.Namespace) -> tuple[float, float]:
    """Tokens a second over HTTP, of ours and of transformers' server."""
    model = str(options.model.resolve())
    ours = ["tunesmith", "serve-model", "--model", model, "--dtype", options.precision, "--rate-limit", "0"]
    dtype = {"fp32": "float32", "bf16": "bfloat16"}[options.precision]
    theirs = ["transformers", "serve", model, "--continuous-batching", "--dtype", dtype, "--cb-num-blocks", "256"]
    with ExitStack() as stack:
        addresses = [stack.enter_context(_server(command)) for command in (ours, theirs)]
        names = (_name_at(addresses[0]), model)
        return _in_turns(
            options.rounds,
            *(lambda url=url, name=name: _ask_server(url, name, options.tokens)
              for url, name in zip(addresses, names, strict=True)),
        )  # fmt: skip


def _name_at(url: str) -> str:
    """Return what our server calls its model."""
    import httpx

    return str(httpx.get(f"{url}/v1/models", timeout=60).json()["data"][0]["id"])


def _in_turns(rounds: int, ours: Callable[[], int], theirs: Callable[[], int]) -> tuple[float, float]:
    """Return the median tokens a second of both, after one round that does not count."""
    speeds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for into, run in zip(speeds, (ours, theirs), strict=True):
            begin = time.perf_counter()
            count = run()
            into.append(count / (time.perf_counter() - begin))
    return statistics.median(speeds[0][1:]), statistics.median(speeds[1][1:])


def _at_once(decoder: Any, prompts: Sequence[list[int]], keys: Sequence[str | None], count: int) -> int:
    from tunesmith.generation.decoder import Ask
    from tunesmith.spec.sampling import Sampling

    asks = [Ask(ids, Sampling(max_tokens=count), adapter=key) for ids, key in zip(prompts, keys, strict=True)]
    tickets = [decoder.submit(ask) for ask in asks]
    return sum(1 for ticket in tickets for _ in ticket)


def _generate(model: Any, ids: list[int], count: int) -> int:
    import torch

    prompt = torch.tensor([ids])
    with torch.inference_mode():
        model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, min_new_tokens=count,
            do_sample=False, pad_token_id=0,
        )  # fmt: skip
    return count


def _load(options: argparse.Namespace) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[options.precision]
    return AutoModelForCausalLM.from_pretrained(options.model, dtype=dtype).eval()


def _prompts(model: Any) -> list[list[int]]:
    import torch

    size = model.get_input_embeddings().weight.shape[0]
    chooser = torch.Generator().manual_seed(0)
    return [torch.randint(size, (length,), generator=chooser).tolist() for length in LENGTHS]


def _write_in_child(model: str, precision: str, rank: int, scratch: str, count: int) -> None:
    """Write adapters in another process: what PEFT needs for that is no part of what is measured."""
    _write_adapters(argparse.Namespace(model=model, precision=precision, rank=rank), Path(scratch), count)


def _write_adapters(options: argparse.Namespace, scratch: Path, count: int) -> list[Path]:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    model = get_peft_model(_load(options), LoraConfig(r=options.rank, target_modules="all-linear"))
    for number in range(count):
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter, std=0.02)
        model.save_pretrained(scratch / str(number))
    return [scratch / str(number) for number in range(count)]


@contextmanager
def _server(command: Sequence[str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as log:
        environment = {**os.environ, "TUNESMITH_HOME": home, "HF_HUB_OFFLINE": "1"}
        named = [str(BIN / command[0]), *command[1:], "--port", str(port)]
        child = subprocess.Popen(named, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + START
            while not _is_up(url):
                if child.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"{command[0]} does not answer:\n{log.read().decode()[-2000:]}")
                time.sleep(0.5)
            yield url
        finally:
            child.terminate()
            child.wait()


def _is_up(url: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _ask_server(url: str, model: str, count: int) -> int:
    import httpx

    def ask(question: str) -> int:
        body = {"model": model, "messages": [{"role": "user", "content": question}], "max_tokens": count}
        answer = httpx.post(f"{url}/v1/chat/completions", json=body | {"temperature": 0}, timeout=300)
        answer.raise_for_status()
        return int(answer.json()["usage"]["completion_tokens"])

    with ThreadPoolExecutor(CHATS) as pool:
        return sum(pool.map(ask, QUESTIONS))


if __name__ == "__main__":
    sys.exit(main())
