"""Which task the data and the model are for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tunesmith.modalities.base import Task
from tunesmith.planning.choices import Choices
from tunesmith.spec.errors import BadValue, NoTaskFits, UnknownName, WrongKindOfModel
from tunesmith.spec.plan import DataFacts, ModelFacts

WORDS: Final = {
    "conversation": "conversations",
    "completion": "prompts with completions",
    "text": "plain texts",
    "label": "labelled texts",
    "preference": "preferences",
    "caption": "captioned images",
    "image question": "questions about images",
    "labelled image": "labelled images",
    "boxed image": "images with boxes",
    "picture talk": "conversations about images",
    "speech": "recordings with transcripts",
    "labelled sound": "labelled recordings",
}
"""Kinds of example, as people call them."""
KINDS_OF_MODEL: Final = {
    "decoder": "it writes from left to right (a decoder)",
    "encoder": "it sees both sides (an encoder, such as BERT)",
    "picture": "it makes vectors of pictures",
    "detector": "it finds things in pictures",
    "speech": "it writes what is said",
    "ctc": "it spells what is said sound by sound, or makes vectors of sounds",
    "sound": "it makes vectors of sounds",
    "pair": "it compares pictures with texts",
    "talker": "it writes about pictures",
    "diffusion": "it makes pictures",
}
OTHERS: Final = {
    "decoder": "a decoder, such as Llama, Qwen or Gemma",
    "encoder": "an encoder, such as BERT, RoBERTa or MiniLM",
    "picture": "a model of pictures, such as ViT, ResNet or MobileNetV2",
    "detector": "a detector, such as RT-DETR, D-FINE or YOLOS",
    "speech": "a model that writes speech, such as Whisper",
    "ctc": "a model of sounds, such as Wav2Vec2 or HuBERT",
    "sound": "a model of sounds, such as AST",
    "pair": "a model of pictures and texts, such as CLIP or SigLIP",
    "talker": "a model that writes about pictures, such as LLaVA, Qwen2-VL or SmolVLM",
    "diffusion": "a pipeline that makes pictures, such as Stable Diffusion 1.5 or SDXL",
}


def choose_task(typed: str | None, model: ModelFacts, data: DataFacts, tasks: Sequence[Task], choices: Choices) -> str:
    """Return the typed task, or the one that is made for exactly the kinds of example in the sample and the model.

    Raises:
        UnknownName: no task has the typed name.
        BadValue: the typed task cannot train on what the data holds.
        NoTaskFits: no task trains on all that the data holds.
        WrongKindOfModel: the task trains another kind of model.
    """
    for_data = [task for task in tasks if task.kinds >= set(data.kinds)]
    for_both = [task for task in for_data if model.kind in task.models]
    if typed is not None:
        task = _typed(typed, tasks, for_data, for_both, data)
        if model.kind not in task.models:
            raise _wrong_kind(model, task, tasks)
        return choices.settle("task", task.name, lambda: (task.name, ""))
    if not for_data:
        raise NoTaskFits(_listed(data), _candidates(data, tasks))
    if not for_both:
        raise _wrong_kind(model, min(for_data, key=_breadth), tasks)
    task = min(for_both, key=_breadth)
    return choices.settle("task", None, lambda: (task.name, f"the sample holds {_listed(data)}"))


def _breadth(task: Task) -> int:
    return len(task.kinds)


def _typed(name: str, tasks: Sequence[Task], for_data: list[Task], for_both: list[Task], data: DataFacts) -> Task:
    task = _named(name, tasks)
    if task in for_data:
        return task
    wanted = _either(repr(other.name) for other in for_both or for_data)
    if not wanted:
        raise NoTaskFits(_listed(data), _candidates(data, tasks))
    raise BadValue("--task", name, f"a task for {_listed(data)}, such as {wanted}")


def _named(name: str, tasks: Sequence[Task]) -> Task:
    for task in tasks:
        if name == task.name or name in task.aliases:
            return task
    raise UnknownName("task", name, [task.name for task in tasks])


def _wrong_kind(model: ModelFacts, task: Task, tasks: Sequence[Task]) -> WrongKindOfModel:
    """Say which model the task takes, and which tasks take the model."""
    take = f"Take {_either(OTHERS[kind] for kind in task.models)}"
    possible = ", ".join(f"{other.name} ({_data_of(other)})" for other in tasks if model.kind in other.models)
    instead = f"{take}; this one can be trained for {possible}." if possible else f"{take}."
    return WrongKindOfModel(model.source, KINDS_OF_MODEL[model.kind], task.name, instead)


def _candidates(data: DataFacts, tasks: Sequence[Task]) -> str:
    """Say which task would train on each kind of row alone."""
    found = []
    for kind in sorted(data.kinds):
        names = [task.name for task in tasks if kind in task.kinds]
        found.append(f"{WORDS.get(kind, kind)}: {_either(names) or 'none of the tasks on text'}")
    return f"Train on one kind alone ({'; '.join(found)})."


def _data_of(task: Task) -> str:
    return ", ".join(WORDS.get(kind, kind) for kind in sorted(task.kinds))


def _either(words: Iterable[str]) -> str:
    return " or ".join(words)


def _listed(data: DataFacts) -> str:
    return " and ".join(f"{count} {WORDS.get(kind, kind)}" for kind, count in sorted(data.kinds.items()))
