"""What is reported of models of pictures beside the loss."""

from __future__ import annotations
