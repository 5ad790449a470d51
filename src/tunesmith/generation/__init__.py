"""Writes tokens with a loaded language model: many answers at once, each with an adapter of its own.

Torch code that knows no modality: token ids in, token ids out; it may import ``training`` and what lies below it.
A model family whose attention the batch cannot reproduce gets a line in ``families.py``.
"""
