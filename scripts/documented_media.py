"""The pictures and recordings that the documents' calls train on, and those calls, for ``documented_calls.py``."""

from __future__ import annotations

import json
import math
import random
import struct
import wave
import zipfile
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageDraw

from scripts.documented_call import Call, get, post

VISION: Final = "data/llm_training/Vision/vision_data.jsonl"
AUDIO: Final = "data/llm_training/Audio/audio_data.jsonl"
MULTIMODAL: Final = "data/llm_training/MultiModal/multimodal_data.jsonl"
IMAGES: Final = "/datasets/my_images"
"""The folder of the document's image classifier; here it lies below the working folder."""
STYLE: Final = "data/my_style"
IMAGES_ZIP: Final = "data/my_images.zip"
BOXES_ZIP: Final = "data/my_boxes.zip"
KINDS: Final = ("circle", "square")
EACH: Final = 6
"""Pictures of each class to train on; half as many validate."""
SIDE: Final = 32
"""Pixels of a side of the pictures."""
RATE: Final = 16_000

IMAGE_CLASSIFIER: Final = """import requests

response = requests.post("http://localhost:8000/api/training/start", json={
    "model_type": "image_classifier",
    "base_model": "resnet50",
    "dataset_path": "/datasets/my_images",
    "epochs": 15,
    "batch_size": 16,
    "learning_rate": 0.0001
})

task_id = response.json()["task_id"]
"""
TRAINING: Final = "/api/training"
WATCHED: Final = (
    "task_id", "status", "progress", "current_epoch", "total_epochs", "current_step", "total_steps", "loss",
    "learning_rate", "metrics", "error", "started_at", "completed_at",
)  # fmt: skip


def _category(name: str, data: str) -> str:
    """Print a call as that of the document's language model, for another category."""
    body = {"category": name, "dataset_path": data, "gpu": True, "epochs": 1, "batch_size": 8, "learning_rate": 0.00002}
    return post("/train", {**body, "output_dir": f"saved_models/{name}"})


def _form(path: str, **fields: str) -> str:
    said = " ".join(f'-F "{name}={value}"' for name, value in fields.items())
    return f'curl -X POST "http://localhost:8000{path}" {said}'


CATEGORIES: Final = (
    Call("000", "submit Vision", _category("Vision", VISION), says=("job_id",), remembers={"{vision}": "job_id"}),
    Call("000", "submit Audio", _category("Audio", AUDIO), says=("job_id",), remembers={"{audio}": "job_id"}),
    Call("000", "submit MultiModal", _category("MultiModal", MULTIMODAL), says=("job_id",),
         remembers={"{multimodal}": "job_id"}),
    *(Call("000", f"watch {name}", get(f"/jobs/{{{name.lower()}}}"), says=("job_id", "method", "logs"),
           until="completed") for name in ("Vision", "Audio", "MultiModal")),
)  # fmt: skip
"""The categories of the first document beside the language model's."""
PICTURES: Final = (
    Call("002", "image classifier", IMAGE_CLASSIFIER, says=("task_id",), remembers={"{classifier}": "task_id"}),
    Call("002", "upload boxes", _form(f"{TRAINING}/datasets/upload", file=f"@{BOXES_ZIP}", name="shapes",
                                      type="object_detector"),
         says=("id", "name", "type", "size", "samples", "created_at"), remembers={"{boxes}": "id"}),
    Call("002", "data sets", get(f"{TRAINING}/datasets")),
    Call("002", "object detector", post(f"{TRAINING}/start", {
        "model_type": "object_detector", "base_model": "rt-detr", "dataset_path": "{boxes}", "epochs": 2,
        "batch_size": 4}), says=("task_id",), remembers={"{detector}": "task_id"}),
    Call("002", "text to image", post(f"{TRAINING}/start", {
        "model_type": "text_to_image", "base_model": "sd-v1-5", "dataset_path": STYLE,
        "output_dir": "outputs/my_style", "epochs": 1, "batch_size": 4, "learning_rate": 1e-4, "save_steps": 500,
        "eval_steps": 500, "warmup_steps": 1, "weight_decay": 0.01, "max_grad_norm": 1.0, "seed": 42}),
        says=("task_id",), remembers={"{style}": "task_id"}),
    Call("002", "image classifier, as a form", _form(
        f"{TRAINING}/image-classifier", dataset=f"@{IMAGES_ZIP}", base_model="google/vit-base-patch16-224", epochs="10",
        batch_size="8", learning_rate="5e-5", num_labels="2"), says=("task_id",), remembers={"{form}": "task_id"}),
    Call("002", "stop a task of pictures", 'curl -X POST "http://localhost:8000/api/training/stop/{form}"',
         says=("success",)),
    Call("002", "stopped", get(f"{TRAINING}/status/{{form}}"), says=WATCHED, until="cancelled"),
    Call("002", "object detector of ultralytics, as a form", _form(
        f"{TRAINING}/object-detection", dataset=f"@{BOXES_ZIP}", base_model="yolov8n.pt", epochs="100",
        batch_size="16"), status=422, says=("message",)),
    Call("002", "object detector, as a form", _form(
        f"{TRAINING}/object-detection", dataset=f"@{BOXES_ZIP}", base_model="rt-detr"),
        says=("task_id",), remembers={"{boxed}": "task_id"}),
    Call("002", "stop it", 'curl -X POST "http://localhost:8000/api/training/stop/{boxed}"', says=("success",)),
    Call("002", "watch the image classifier", get(f"{TRAINING}/status/{{classifier}}"), says=WATCHED,
         until="completed"),
    Call("002", "watch the object detector", get(f"{TRAINING}/status/{{detector}}"), says=WATCHED, until="completed"),
    Call("002", "watch the text to image", get(f"{TRAINING}/status/{{style}}"), says=WATCHED, until="completed"),
    Call("002", "checkpoints", get(f"{TRAINING}/checkpoints/{{classifier}}")),
    Call("002", "download", get(f"{TRAINING}/download/{{detector}}")),
    Call("002", "remove a data set", 'curl -X DELETE "http://localhost:8000/api/training/datasets/{boxes}"',
         says=("success",)),
    Call("002", "base models", get(f"{TRAINING}/models?model_type=image_classifier")),
)  # fmt: skip
"""The calls of the second document for image models."""
PLACES: Final = (IMAGES,)
"""Folders that the documents name by an absolute path."""


def write_media(folder: Path) -> None:
    """Write what these calls train on, where it is missing."""
    chance = random.Random(0)
    _write_vision(folder / VISION, chance)
    _write_audio(folder / AUDIO)
    _write_captions(folder / MULTIMODAL, chance)
    _write_classes(folder / IMAGES.strip("/"), chance)
    _write_style(folder / STYLE, chance)
    _write_zip(folder / IMAGES_ZIP, folder / IMAGES.strip("/"))
    boxes = folder / "data" / "my_boxes"
    _write_boxes(boxes, chance)
    _write_zip(folder / BOXES_ZIP, boxes)


def _drawn(kind: str, chance: random.Random) -> tuple[Image.Image, tuple[int, int, int]]:
    """Draw a thing on a dark ground; return also its left, its top and its side."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(chance.randrange(60) for _ in range(3)))
    side = chance.randrange(SIDE // 3, SIDE // 2)
    left, top = chance.randrange(1, SIDE - side - 1), chance.randrange(1, SIDE - side - 1)
    pen = ImageDraw.Draw(picture)
    draw = pen.ellipse if kind == "circle" else pen.rectangle
    draw((left, top, left + side, top + side), fill=tuple(chance.randrange(150, 255) for _ in range(3)))
    return picture, (left, top, side)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _saved(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)


def _write_vision(path: Path, chance: random.Random) -> None:
    if path.exists():
        return
    rows = []
    for number in range(EACH * len(KINDS)):
        kind = KINDS[number % len(KINDS)]
        _saved(_drawn(kind, chance)[0], path.parent / "images" / f"{number}.png")
        rows.append({"image": f"images/{number}.png", "label": kind})
    _write_rows(path, rows)


def _write_audio(path: Path) -> None:
    if path.exists():
        return
    rows = []
    for number in range(EACH * 2):
        sound = path.parent / "sounds" / f"{number}.wav"
        sound.parent.mkdir(parents=True, exist_ok=True)
        tone = (math.sin(2 * math.pi * (300 + 40 * number) * place / RATE) for place in range(RATE // 2))
        with wave.open(str(sound), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(b"".join(struct.pack("<h", int(12_000 * value)) for value in tone))
        rows.append({"audio": f"sounds/{number}.wav", "text": f"tone {number}"})
    _write_rows(path, rows)


def _write_captions(path: Path, chance: random.Random) -> None:
    if path.exists():
        return
    rows = []
    for number in range(EACH * len(KINDS)):
        kind = KINDS[number % len(KINDS)]
        _saved(_drawn(kind, chance)[0], path.parent / "images" / f"{number}.png")
        rows.append({"image": f"images/{number}.png", "caption": f"a {kind}, number {number}"})
    _write_rows(path, rows)


def _write_classes(folder: Path, chance: random.Random) -> None:
    if folder.exists():
        return
    for side, count in (("train", EACH), ("val", EACH // 2)):
        for kind in KINDS:
            for number in range(count):
                _saved(_drawn(kind, chance)[0], folder / side / kind / f"{number}.png")


def _write_style(folder: Path, chance: random.Random) -> None:
    if folder.exists():
        return
    for number in range(4):
        kind = KINDS[number % len(KINDS)]
        _saved(_drawn(kind, chance)[0], folder / "images" / f"{number}.png")
        (folder / "prompts").mkdir(exist_ok=True)
        (folder / "prompts" / f"{number}.txt").write_text(f"a drawn {kind}\n", encoding="utf-8")


def _write_boxes(folder: Path, chance: random.Random) -> None:
    if folder.exists():
        return
    for side, count in (("train", 8), ("val", 4)):
        for number in range(count):
            kind = number % len(KINDS)
            picture, (left, top, size) = _drawn(KINDS[kind], chance)
            _saved(picture, folder / "images" / side / f"{number}.png")
            label = folder / "labels" / side / f"{number}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            x, y = (left + size / 2) / SIDE, (top + size / 2) / SIDE
            label.write_text(f"{kind} {x} {y} {size / SIDE} {size / SIDE}\n", encoding="utf-8")
    lines = ["train: /path/to/images/train", "val: /path/to/images/val", f"nc: {len(KINDS)}", f"names: {list(KINDS)}"]
    (folder / "data.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_zip(path: Path, folder: Path) -> None:
    if path.exists():
        return
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, file.relative_to(folder))
