"""tunesmith turns data into better models on your own machines.

The layers, from the doors down to the types, are drawn in ``docs/architecture.md``; an import may only point down.
"""

__version__ = "0.1.0"
