"""The pages of ``docs/reference/``, written from the code: ``python -m scripts.reference`` (``make docs``).

A page is one file here with a ``page`` function, listed in ``PAGES``; ``scripts/checks`` fails while a page is stale or
an entry has no sentence.
"""
