"""Fills in what the user left out, each choice with its reason; nothing is spent before the plan is shown.

May import modalities' light half, data, settings and spec; never torch. ``facts.py`` looks at the world, the rest is
pure. What is chosen automatically is one ``choose`` function per topic; another choice is a row in its table test.
"""
