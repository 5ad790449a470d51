"""Models of pictures that answer."""

from __future__ import annotations
