"""The database: what the service remembers. Everything that is SQL stands here, one file per noun.

May import settings and spec. To add a noun: its table in ``tables.py``, a migration (``make migration NAME=...``), a
file of functions that take a connection first and return frozen dataclasses.
"""
