"""Looks at the world for the plan: the model's files, the machine, a sample of the data. No torch."""

from __future__ import annotations

from tunesmith.planning.data_sample import data_facts
from tunesmith.planning.machine import device_facts
from tunesmith.planning.model_files import model_facts

__all__ = ["data_facts", "device_facts", "model_facts"]
