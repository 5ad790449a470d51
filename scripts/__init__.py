"""Tools for work on tunesmith itself: checks, scaffolds and the reference's generator.

May import tunesmith; nothing imports these. A check is one file in ``checks/``.
"""
