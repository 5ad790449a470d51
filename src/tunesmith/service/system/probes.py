"""What a machine computes with: torch is asked in a process of its own, with a time limit."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

TORCH_SECONDS: Final = 120
"""A cold import of torch from a slow disk takes most of a minute."""

_ASK_TORCH: Final = """
import importlib.util, json
facts = {"version": None, "devices": [], "bf16": False, "fault": None, "quantises": None}
try:
    import torch
    facts["version"] = torch.__version__
    if torch.cuda.is_available():
        facts["devices"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        facts["bf16"] = torch.cuda.is_bf16_supported()
    if importlib.util.find_spec("torchvision"):
        import torchvision
except Exception as error:
    facts["fault"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
if facts["version"]:
    try:
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit
        values = torch.ones(64, 64, device="cuda" if facts["devices"] else "cpu")
        dequantize_4bit(*quantize_4bit(values, quant_type="nf4")).sum().item()
        facts["quantises"] = ""
    except Exception as error:
        facts["quantises"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
print(json.dumps(facts))
"""


@dataclass(frozen=True)
class TorchFacts:
    """What torch says of itself."""

    version: str | None
    """None if it cannot be imported."""
    devices: tuple[str, ...] = ()
    """Names of the GPUs that it sees."""
    bf16: bool = False
    """Whether the GPUs, or else the CPU, compute in bf16."""
    fault: str | None = None
    quantises: str | None = None
    """Why bitsandbytes cannot quantise here; empty if it can, None if torch is not there to ask it."""


def torch_facts() -> TorchFacts:
    """Import torch (and torchvision, where there is one) in a child process and report."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH], capture_output=True, text=True, timeout=TORCH_SECONDS, check=False
        )
        answer = json.loads(child.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return TorchFacts(None, fault=f"its import took more than {TORCH_SECONDS} seconds")
    except (ValueError, IndexError):
        return TorchFacts(None, fault=f"its import ended the process (exit status {child.returncode})")
    devices = tuple(answer["devices"])
    bf16 = answer["bf16"] if devices else cpu_has_bf16()
    return TorchFacts(answer["version"], devices, bf16, answer["fault"], answer["quantises"])


def cpu_has_bf16() -> bool:
    """Whether the CPU computes in bf16 (avx512_bf16 or AMX), as Linux tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags.split())
