"""A convert run: a downloaded model becomes a folder of safetensors that everything else can open.

The request names the source folder, the file in it (GGUF, a Whisper of CTranslate2, a MobileNetV2 of torchvision),
what to keep and the card (README.md) of the result; or all files of a model's pickled weights; or the name of a YOLO of
the package ultralytics, and its file of weights, without which they are drawn at random::

    {"source": "/...", "file": "model.gguf", "card": "# ...", "keep": ["LICENSE"]}
    {"source": "/...", "pickled": ["pytorch_model.bin"], "card": "# ...", "keep": ["tokenizer.json"]}
    {"yolo": "yolov8n", "file": "/.../yolov8n.pt", "card": "# ..."}
"""

from __future__ import annotations

import json
import mmap
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunesmith.spec.errors import PullFailed
from tunesmith.spec.events import Progress
from tunesmith.worker.ctranslate import convert_whisper
from tunesmith.worker.pickled_weights import convert_pickled
from tunesmith.worker.torchvision_names import convert_mobilenet
from tunesmith.worker.ultralytics_file import convert_yolo, make_yolo

if TYPE_CHECKING:
    from tunesmith.runs.folder import RunFolder
    from tunesmith.worker.reporting import Reporter

LLAMA_CPP_PRE_TOKENIZERS: dict[str, list[dict[str, Any]]] = {
    "smollm": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ]
}
"""How text is cut before byte pairs are merged, by ``tokenizer.ggml.pre``, where transformers takes GPT-2's way."""


def run(run: RunFolder, reporter: Reporter) -> None:
    """Convert what the run's request names into the run's artifacts."""
    request: Mapping[str, Any] = run.header().request or {}
    source, target = Path(request.get("source", "")), run.artifacts_dir
    target.mkdir(parents=True, exist_ok=True)
    _quiet()
    reporter.say(Progress(message="reading and converting the weights", done=0.1))
    if name := request.get("yolo"):
        file = request["file"]
        parameters = make_yolo(name, target) if file is None else convert_yolo(Path(file), name, target)
    elif pickled := request.get("pickled"):
        parameters = convert_pickled(source, pickled, target)
    elif Path(request["file"]).suffix == ".gguf":
        parameters = convert_gguf(source, request["file"], target)
        reporter.say(Progress(message="writing the tokenizer", done=0.9))
        write_tokenizer(source, request["file"], target)
    elif Path(request["file"]).suffix == ".pth":
        parameters = convert_mobilenet(source / request["file"], target)
    else:
        parameters = convert_whisper(source, request["file"], target)
    (target / "README.md").write_text(request["card"])
    for name in request.get("keep", ()):
        shutil.copyfile(source / name, target / Path(name).name)
    reporter.finish({"parameters": parameters}, target)


def _quiet() -> None:
    """Keep the bars of transformers out of the run's log."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def convert_gguf(source: Path, file: str, target: Path) -> int:
    """Dequantise a GGUF file into bf16 safetensors with configuration files; return the number of parameters.

    A model read from GGUF refuses to be saved, so its weights move into a fresh model of the same configuration.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    read = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
    config = AutoConfig.for_model(**_settings(read.config.to_dict()))
    with torch.device("meta"):
        fresh = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    weights = {name: weight.to(torch.bfloat16) for name, weight in read.state_dict().items()}
    result = fresh.load_state_dict(weights, strict=False, assign=True)
    if result.missing_keys or result.unexpected_keys:
        lacking = ", ".join([*result.missing_keys, *result.unexpected_keys][:3])
        raise PullFailed(file, f"its weights are not those of its configuration ({lacking})")
    fresh.tie_weights()
    fresh.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    fresh.save_pretrained(target)
    return sum(weight.numel() for weight in fresh.parameters())


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """Drop what described the GGUF file, and round what it stored as 32-bit numbers (9.99e-06 for 1e-05)."""
    kept = {k: v for k, v in config.items() if k != "quantization_config" and not k.startswith("_")}
    return {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in kept.items()}


def write_tokenizer(source: Path, file: str, target: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json, chat template inside, from what a GGUF file says."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=file)
    fast = json.loads(tokenizer.backend_tokenizer.to_str())
    steps = LLAMA_CPP_PRE_TOKENIZERS.get(_pre_tokenizer(source / file))
    if steps is not None:
        fast["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    (target / "tokenizer.json").write_text(json.dumps(fast, ensure_ascii=False, indent=1))
    config = json.loads((target / "config.json").read_text())
    names = ("bos_token", "eos_token", "unk_token", "pad_token")
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{name: getattr(tokenizer, name) for name in names},
        "model_max_length": config["max_position_embeddings"],
        "clean_up_tokenization_spaces": False,
        "chat_template": tokenizer.chat_template,
    }
    (target / "tokenizer_config.json").write_text(json.dumps(described, ensure_ascii=False, indent=2) + "\n")


def _pre_tokenizer(file: Path) -> str:
    """Read one text out of a GGUF header: its key, a 4-byte type, an 8-byte length, its bytes.

    The layout is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Reading the whole header for it
    takes seconds.
    """
    key = b"tokenizer.ggml.pre"
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(key)
        if place < 0:
            return ""
        start = place + len(key) + 4
        (size,) = struct.unpack("<Q", content[start : start + 8])
        return content[start + 8 : start + 8 + size].decode()
