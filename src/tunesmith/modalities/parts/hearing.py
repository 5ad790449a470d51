"""How a model hears recordings, from its ``config.json`` and ``preprocessor_config.json``; light.

wave: it reads the samples themselves (Wav2Vec2, HuBERT, WavLM). mel: a window of a fixed length in bands of pitch
(Whisper). bands: the same, as AST is used to it.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from tunesmith.modalities.chat_template import read_json
from tunesmith.spec.errors import BadValue

RATE: Final = 16_000
USUAL_SECONDS: Final = 30.0
PREPROCESSOR: Final = "preprocessor_config.json"


@dataclass(frozen=True)
class Hearing:
    """What becomes of samples before a model sees them."""

    way: Literal["wave", "mel", "bands"]
    rate: int
    """Samples a second."""
    most_seconds: float
    """Longest recording."""
    window: float | None = None
    """Seconds that the model always hears; shorter recordings are followed by silence. None: just the recording."""
    normalized: bool = True
    """Whether samples (or bands) are shifted and scaled to a mean of 0 and a deviation of 1 (or of a half)."""
    masked: bool = False
    """Whether the model is told where a recording ends in a batch."""
    mels: int = 80
    bands: tuple[int, float, float] = (1024, -4.2677393, 4.5689974)
    """AST's frames, mean and deviation."""
    frames: int = 1500
    """What every recording is long, where there is a window."""
    strides: tuple[tuple[int, int], ...] = ()
    """(kernel, stride) of the convolutions over samples."""

    def length(self, samples: int) -> int:
        """Return how many frames a recording has inside the model."""
        if self.window is not None:
            return self.frames
        for kernel, stride in self.strides:
            samples = (samples - kernel) // stride + 1
        return samples

    @property
    def frame_seconds(self) -> float:
        """How long a frame of a model that reads samples lasts."""
        return math.prod(stride for _, stride in self.strides) / self.rate

    def as_dict(self) -> dict[str, Any]:
        """Return all of it, to tell two apart."""
        return asdict(self)


def hearing_of(model_dir: Path, max_seconds: float | None = None) -> Hearing:
    """Return how the model of a folder hears; ``max_seconds`` is the longest recording that is wanted.

    Raises:
        BadValue: the model does not hear so long at a time.
    """
    config, said = read_json(model_dir / "config.json"), read_json(model_dir / PREPROCESSOR)
    rate, kind = int(said.get("sampling_rate") or RATE), str(config.get("model_type", ""))
    if kind == "whisper":
        window, frames = float(said.get("chunk_length") or USUAL_SECONDS), int(config.get("max_source_positions", 1500))
        most = _most(max_seconds, window)
        mels = int(config.get("num_mel_bins", 80))
        return Hearing("mel", rate, most, window, mels=mels, frames=frames)
    if kind == "audio-spectrogram-transformer":
        steps, mels = int(config.get("max_length", 1024)), int(config.get("num_mel_bins", 128))
        window = (steps * 160 + 240) / rate
        bands = (steps, float(said.get("mean", -4.2677393)), float(said.get("std", 4.5689974)))
        return Hearing(
            "bands", rate, _most(max_seconds, window), window, normalized=said.get("do_normalize", True) is not False,
            mels=mels, bands=bands, frames=_patches(config, steps, mels),
        )  # fmt: skip
    kernels = config.get("conv_kernel") or (10, 3, 3, 3, 3, 2, 2)
    strides = config.get("conv_stride") or (5, 2, 2, 2, 2, 2, 2)
    layered = config.get("feat_extract_norm", "group") == "layer"
    return Hearing(
        "wave", rate, max_seconds or USUAL_SECONDS, normalized=said.get("do_normalize", True) is not False,
        masked=bool(said.get("return_attention_mask", layered)), strides=tuple(zip(kernels, strides, strict=True)),
    )  # fmt: skip


def _patches(config: dict[str, Any], steps: int, mels: int) -> int:
    size = int(config.get("patch_size", 16))
    along = (steps - size) // int(config.get("time_stride", 10)) + 1
    across = (mels - size) // int(config.get("frequency_stride", 10)) + 1
    return along * across + 2


def _most(wanted: float | None, window: float) -> float:
    if wanted is not None and wanted > window:
        raise BadValue("--max-seconds", wanted, f"at most {window:g}, which is all that the model hears at a time")
    return wanted or min(window, USUAL_SECONDS)
