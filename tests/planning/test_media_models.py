"""What is known of models of pictures and sounds, from configuration and weights' headers, and what they take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from made_scenes import make_detector
from made_sounds import make_ast, make_wav2vec2, make_whisper
from modalities.vision.test_families import write
from picture_models import make_pair, make_talker
from planning.conftest import CHATS, CPU, GIB, World
from tunesmith.modalities import MODALITIES
from tunesmith.planning.draft import facts_of_model
from tunesmith.spec.errors import NotALanguageModel, UnreadableFile, WillNotFit
from tunesmith.spec.plan import ModelFacts


def make_pipeline(folder: Path, *, kind: str = "StableDiffusionPipeline", variant: str = "") -> Path:
    """The files of a pipeline of diffusers that a plan looks at."""
    (folder / "unet").mkdir(parents=True)
    (folder / "text_encoder").mkdir()
    (folder / "model_index.json").write_text(json.dumps({"_class_name": kind}))
    config = {"block_out_channels": [16, 32], "cross_attention_dim": 32, "sample_size": 8}
    (folder / "unet" / "config.json").write_text(json.dumps(config))
    attention = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    unet = {
        f"{attention}.{name}.weight": np.zeros((16, width), np.float32)
        for name, width in {"to_q": 16, "to_k": 32, "to_v": 32, "to_out.0": 16}.items()
    }
    unet["down_blocks.0.resnets.0.conv1.weight"] = np.zeros((16, 4, 3, 3), np.float32)
    save_file(unet, folder / "unet" / f"diffusion_pytorch_model{variant}.safetensors")
    save_file({"a": np.zeros((3, 5), np.float32)}, folder / "text_encoder" / f"model{variant}.safetensors")
    return folder


MADE: dict[str, tuple[str, str, Callable[[Path], Path]]] = {
    "picture": ("vision", "AutoModelForImageClassification", partial(write, model_type="vit")),
    "picture of convolutions": ("vision", "AutoModelForImageClassification", partial(write, model_type="resnet")),
    "detector": ("vision", "AutoModelForObjectDetection", make_detector),
    "speech": ("audio", "AutoModelForSpeechSeq2Seq", make_whisper),
    "ctc": ("audio", "AutoModel", make_wav2vec2),
    "sound": ("audio", "AutoModel", make_ast),
    "pair": ("multimodal", "AutoModel", make_pair),
    "talker": ("multimodal", "AutoModelForImageTextToText", partial(make_talker, kind="llava")),
    "diffusion": ("diffusion", "", make_pipeline),
}
"""A model of each kind: its modality, the class of transformers that opens it, and how it is made."""
Facts = Callable[[str], ModelFacts]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folders: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in folders:
            folders[name] = MADE[name][2](tmp_path_factory.mktemp("models") / "model")
        return folders[name]

    return make


@pytest.fixture
def facts(models: Callable[[str], Path]) -> Facts:
    return lambda name: known(models(name), MADE[name][0])


def known(folder: Path, modality: str) -> ModelFacts:
    return facts_of_model(folder, "mine", MODALITIES[modality])[0]


@pytest.mark.parametrize(
    ("name", "model_type", "layers", "hidden", "heads", "linear"),
    [
        ("picture", "vit", 2, 32, 4, {"query", "value"}),
        ("picture of convolutions", "resnet", 2, 16, 1, set()),
        ("detector", "rt_detr", 4, 16, 2, {"q_proj", "v_proj", "fc1", "fc2"}),
        ("speech", "whisper", 1, 32, 2, {"q_proj", "v_proj", "fc1", "fc2"}),
        ("ctc", "wav2vec2", 1, 32, 2, {"q_proj", "v_proj", "intermediate_dense"}),
        ("sound", "audio-spectrogram-transformer", 1, 32, 2, {"query", "value"}),
        ("pair", "clip", 2, 32, 4, {"q_proj", "v_proj"}),
        ("talker", "llava", 2, 32, 4, {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ("diffusion", "StableDiffusionPipeline", 1, 1, 1, {"to_q", "to_k", "to_v", "to_out.0"}),
    ],
)
def test_tells_a_model_from_its_files(
    facts: Facts, name: str, model_type: str, layers: int, hidden: int, heads: int, linear: set[str]
) -> None:
    found = facts(name)
    assert (found.source, found.model_type, found.modality) == ("mine", model_type, MADE[name][0])
    assert found.kind == name.removesuffix(" of convolutions")
    assert (found.layers, found.hidden, found.heads) == (layers, hidden, heads)
    assert linear <= set(found.linear_layers)
    assert (found.dtype, len(found.fingerprint)) == ("fp32", 64)


@pytest.mark.parametrize("name", [name for name, (_, loader, _) in MADE.items() if loader])
def test_counts_parameters_as_torch_does(facts: Facts, models: Callable[[str], Path], name: str) -> None:
    import transformers

    model = getattr(transformers, MADE[name][1]).from_pretrained(models(name))
    assert facts(name).parameters == sum(weight.numel() for weight in model.parameters())


def test_no_adapter_sits_on_heads_or_tables(facts: Facts) -> None:
    heads = {"classifier", "lm_head", "proj_out", "projector", "class_labels_classifier", "embed_tokens"}
    assert not {layer for name in MADE for layer in facts(name).linear_layers} & heads


def test_a_pipeline_counts_all_its_parts_and_its_unets_layers(facts: Facts) -> None:
    found = facts("diffusion")
    attention = 16 * (16 + 32 + 32 + 16)
    assert found.linear_parameters == attention
    assert found.parameters == attention + 16 * 4 * 9 + 15
    assert found.linear_widths == {"to_k": 48, "to_out.0": 32, "to_q": 32, "to_v": 48}


def test_a_pipeline_of_a_variant_alone_is_read(facts: Facts, tmp_path: Path) -> None:
    folder = make_pipeline(tmp_path / "half", variant=".fp16")
    assert known(folder, "diffusion").parameters == facts("diffusion").parameters
    whole = make_pipeline(tmp_path / "both")
    shutil.copy(
        folder / "unet" / "diffusion_pytorch_model.fp16.safetensors",
        whole / "unet" / "diffusion_pytorch_model.fp16.safetensors",
    )
    assert known(whole, "diffusion").parameters == facts("diffusion").parameters


@pytest.mark.parametrize("name", ["picture", "diffusion"])
def test_other_weights_are_another_model(models: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(models(name), tmp_path / "copy"))
    before = known(folder, MADE[name][0])
    file = next(folder.rglob("model.safetensors"))
    save_file({key: weight + 1 for key, weight in load_file(file).items()}, file)
    after = known(folder, MADE[name][0])
    assert after.fingerprint != before.fingerprint
    assert after.parameters == before.parameters


# --- memory ---

KINDS = {
    "picture": "labelled image",
    "picture of convolutions": "labelled image",
    "detector": "boxed image",
    "speech": "speech",
    "ctc": "speech",
    "sound": "labelled sound",
    "pair": "caption",
    "talker": "image question",
    "diffusion": "caption",
}
"""Rows that each kind of model trains on."""


def world_of(facts: ModelFacts, name: str, patches: int) -> World:
    lengths = dict.fromkeys(("p50", "p95", "p99", "max"), patches)
    rows: dict[str, Any] = {"kinds": {KINDS[name]: 2000}, "lengths": lengths, "mean_length": float(patches)}
    return World(facts, CPU, CHATS.model_copy(update=rows), MODALITIES[MADE[name][0]])


def total(facts: ModelFacts, name: str, *, patches: int, rows: int) -> int:
    batch = {"size": rows, "accumulation": 1, "micro_tokens": patches * rows}
    return world_of(facts, name, patches).plan(recipe={"batch": batch}).memory.total


@pytest.mark.parametrize("name", KINDS)
def test_memory_grows_with_the_rows_at_once_and_with_their_size(facts: Facts, name: str) -> None:
    found = facts(name)
    by_rows = [total(found, name, patches=196, rows=rows) for rows in (1, 2, 4, 8, 16)]
    by_size = [total(found, name, patches=patches, rows=4) for patches in (49, 196, 784, 1600)]
    for sizes in (by_rows, by_size):
        assert sizes == sorted(set(sizes)), sizes


@pytest.mark.parametrize("name", ["picture of convolutions", "detector", "ctc", "diffusion"])
def test_what_layers_do_not_tell_the_family_counts_by_the_patch(facts: Facts, name: str) -> None:
    found = facts(name)
    assert found.unit_bytes is not None
    plans = [
        world_of(found, name, 196).plan(
            recipe={"precision": "fp32", "batch": {"micro_tokens": 196 * rows, "size": rows}}
        )
        for rows in (1, 3)
    ]
    assert [plan.memory.activations for plan in plans] == [196 * found.unit_bytes, 3 * 196 * found.unit_bytes]


def test_models_that_differ_in_size_alone_leave_more_the_larger_they_are(tmp_path: Path) -> None:
    found = []
    for values in (1_000, 4_000):
        folder = tmp_path / str(values)
        folder.mkdir()
        config = {"model_type": "ultralytics_yolo", "architectures": ["YoloForObjectDetection"], "network": "yolov8n"}
        (folder / "config.json").write_text(json.dumps(config))
        save_file({"detector.model.0.conv.weight": np.zeros(values, np.float32)}, folder / "model.safetensors")
        found.append(facts_of_model(folder, "yolov8n", MODALITIES["vision"])[0].unit_bytes or 0)
    assert found[0] > 0 and found[1] == pytest.approx(2 * found[0], rel=0.01)


def test_pictures_that_no_portion_of_fits_are_refused_with_what_would(facts: Facts) -> None:
    small = replace(world_of(facts("detector"), "detector", 1600), device=CPU.model_copy(update={"memory": GIB}))
    with pytest.raises(WillNotFit):
        small.plan()
    assert small.plan(force=True).memory.total > GIB


# --- what is no model that can be trained ---


def damaged(models: Callable[[str], Path], tmp_path: Path, name: str) -> Path:
    return Path(shutil.copytree(models(name), tmp_path / "damaged"))


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [("levit", "LevitForImageClassification"), ("sew", "SEWForCTC"), ("blip", "BlipForConditionalGeneration")],
)
def test_a_model_that_no_table_names_is_refused_in_a_sentence(
    models: Callable[[str], Path], tmp_path: Path, model_type: str, architecture: str
) -> None:
    folder = damaged(models, tmp_path, "picture")
    config = json.loads((folder / "config.json").read_text())
    changed = {**config, "model_type": model_type, "architectures": [architecture]}
    (folder / "config.json").write_text(json.dumps(changed))
    for modality in ("vision", "audio", "multimodal", "diffusion"):
        with pytest.raises(NotALanguageModel) as raised:
            known(folder, modality)
        assert raised.value.message.startswith(
            f"mine: not a model that can be trained here: its architecture is {architecture}"
        )
        assert raised.value.exit_code == 78


def test_another_pipeline_is_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = make_pipeline(tmp_path / "flux", kind="FluxPipeline")
    with pytest.raises(NotALanguageModel, match=r"it makes images \(a diffusers folder\)"):
        known(folder, "diffusion")


def test_a_pipeline_without_a_unet_is_refused(tmp_path: Path) -> None:
    folder = make_pipeline(tmp_path / "pipeline")
    (folder / "unet" / "config.json").unlink()
    with pytest.raises(NotALanguageModel, match=r"no unet/config\.json; Stable Diffusion 1\.5 and SDXL have one"):
        known(folder, "diffusion")


@pytest.mark.parametrize("name", ["picture", "detector", "speech", "pair", "diffusion"])
def test_weights_of_another_kind_are_refused(models: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    folder = damaged(models, tmp_path, name)
    for file in list(folder.rglob("*.safetensors")):
        file.rename(file.with_name("pytorch_model.bin"))
    with pytest.raises(NotALanguageModel, match=r"no model\.safetensors; of pickled weights only"):
        known(folder, MADE[name][0])


def test_weights_that_are_whole_numbers_are_refused(models: Callable[[str], Path], tmp_path: Path) -> None:
    folder = damaged(models, tmp_path, "picture")
    weights = {name: weight.astype(np.int8) for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(NotALanguageModel, match="stored as nothing; take them in bf16, fp16 or fp32"):
        known(folder, "vision")


@pytest.mark.parametrize("name", ["picture", "diffusion"])
@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_a_damaged_configuration_is_named(
    models: Callable[[str], Path], tmp_path: Path, name: str, content: str
) -> None:
    folder = damaged(models, tmp_path, name)
    file = folder / ("model_index.json" if name == "diffusion" else "config.json")
    file.write_text(content)
    with pytest.raises(UnreadableFile, match=file.name):
        known(folder, MADE[name][0])


def test_a_truncated_file_of_weights_is_named(models: Callable[[str], Path], tmp_path: Path) -> None:
    folder = damaged(models, tmp_path, "picture")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UnreadableFile, match=r"model\.safetensors"):
        known(folder, "vision")
