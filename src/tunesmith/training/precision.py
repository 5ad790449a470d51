"""Number formats by the names that recipes use."""

from __future__ import annotations

from typing import Final

import torch

DTYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
"""Format of the frozen weights and of the computation; trained weights keep 32-bit masters in either."""
