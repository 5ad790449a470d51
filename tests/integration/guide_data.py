"""The files that the training guide's examples name, small, with rows of the shapes that the guide prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Row = dict[str, Any]


def chat(i: int) -> Row:
    asked, told = f"What is {i} plus {i}?", f"It is {2 * i}."
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": told}]}


def alpaca(i: int) -> Row:
    return {"instruction": "Double the number.", "input": str(i), "output": str(2 * i)}


def qa(i: int) -> Row:
    return {"question": f"What is {i} plus {i}?", "answer": str(2 * i), "context": "Sums of whole numbers."}


def sharegpt(i: int) -> Row:
    return {"conversations": [{"from": "human", "value": f"Double {i}."}, {"from": "gpt", "value": f"{2 * i}"}]}


def completion(i: int) -> Row:
    return {"prompt": f"Twice {i} is", "completion": f" {2 * i}."}


def squad(i: int) -> Row:
    """A row of SQuAD's exact shape."""
    return {
        "id": f"5733be284776f4190066{i:04d}",
        "title": "Numbers",
        "context": f"Twice {i} is {2 * i}, as everybody knows.",
        "question": f"What is twice {i}?",
        "answers": {"text": [str(2 * i)], "answer_start": [len(f"Twice {i} is ")]},
    }


def picture(i: int) -> Row:
    return {"image": f"pictures/{i}.jpg", "question": "What is this?", "answer": "A sunset."}


FILES: Final[dict[str, Callable[[int], Row]]] = {
    "dataset.json": chat,
    "path/to/dataset.json": chat,
    "data/first.json": alpaca,
    "data/second.json": qa,
    "datasets/all.json": completion,
    "datasets/alpaca/rows.json": alpaca,
    "datasets/chat/rows.json": chat,
    "datasets/qa/rows.json": qa,
    "train1.json": alpaca,
    "train2.json": sharegpt,
    "train3.json": completion,
    "small_dataset.json": qa,
    "small_data.json": qa,
    "large_dataset.json": chat,
    "train_data/rows.json": alpaca,
    "validation_data/rows.json": qa,
    "base_training.json": chat,
    "additional_data/rows.json": alpaca,
    "alpaca_data.json": alpaca,
    "vision_qa_data.json": picture,
    "custom_dataset.json": chat,
    "temp_dataset.json": qa,
}
"""Rows of each file, by its name in the model directory."""

ROWS: Final = 16


def write_guide_data(folder: Path) -> None:
    """Write every file, and ``squad`` as a folder with a split of its own for training."""
    for name, row in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([row(i) for i in range(ROWS)]))
    (folder / "squad").mkdir()
    for split in ("train", "validation"):
        (folder / "squad" / f"{split}.jsonl").write_text("".join(json.dumps(squad(i)) + "\n" for i in range(ROWS)))
