"""Rows in, examples out: reads files, recognises formats, checks, tokenises (with an encoder handed in) and caches.

May import settings and spec; knows no model and no modality, never imports torch.
A row format is one file in ``formats/``; a file type is one file in ``sources/``; both are found by being there.
"""
