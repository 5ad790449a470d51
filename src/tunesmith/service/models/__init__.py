"""Models and data sets by name: what a short name means, where its files are, how they get here.

May import settings, spec, runs, executors and the light half of modalities. To add a name, add an ``Alias``.
"""
