"""The engine: a training loop over the pieces that a modality builds. It knows no modality.

May import data, runs and spec (and torch). A new optimizer, schedule or stopping rule is one entry in the file of that
name; a fast path for a model family is one entry in ``decoder.py`` and one row in its equality test.
"""
