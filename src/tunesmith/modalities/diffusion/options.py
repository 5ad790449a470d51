"""Settings that only pictures made from texts have; a field is a flag of `tunesmith train` and a key of ``options``."""

from __future__ import annotations

from pydantic import Field

from tunesmith.spec.recipe import Part


class DiffusionOptions(Part):
    """At what size pictures are learned, what is weighted how, and what is drawn on the way."""

    resolution: int | None = Field(None, ge=16, le=4096, json_schema_extra={"flag": "--resolution"})
    """Pixels of a side of the pictures that are learned: their middle, scaled. Open: the size that the pipeline was
    made for (512 for Stable Diffusion 1.5, 1024 for SDXL)."""
    mirror: bool = Field(False, json_schema_extra={"flag": "--mirror"})
    """Mirror every second picture, left to right. Leave it off where left and right mean something, such as faces or
    writing."""
    train_text_encoder: bool = Field(False, json_schema_extra={"flag": "--train-text-encoder"})
    """Put adapters of half the rank on the text encoders too: new words are learned better, and memory grows, as
    captions are read anew at each step."""
    min_snr_gamma: float | None = Field(None, gt=0, le=100, json_schema_extra={"flag": "--min-snr-gamma"})
    """Weight each noise level by at most so much of its signal-to-noise ratio (https://arxiv.org/abs/2303.09556, which
    takes 5): fewer steps to the same pictures. Open: all noise levels weigh the same."""
    sample_prompts: list[str] | None = Field(None, json_schema_extra={"flag": "--sample-prompts"})
    """What pictures are drawn of before, during and after training. Open: --test-prompt, and up to two captions of
    pictures held out (none with --skip-test)."""
    sample_every: int | None = Field(None, ge=1, json_schema_extra={"flag": "--sample-every"})
    """Steps between two drawings. Open: at each evaluation, and without validation data after each pass."""
    sample_steps: int = Field(20, ge=1, le=1000, json_schema_extra={"flag": "--sample-steps"})
    """Denoising steps of a drawing."""
