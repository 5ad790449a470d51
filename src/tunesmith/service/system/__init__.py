"""What the product knows of the machine it stands on.

May import everything below ``service``; never torch (it is asked in a process of its own). To add a check, write a
function that returns a ``Check`` and put it into ``CHECKS`` in ``doctor.py``.
"""
