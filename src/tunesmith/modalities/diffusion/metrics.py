"""What is reported of models that make pictures beside the loss."""

from __future__ import annotations
