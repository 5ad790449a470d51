"""The command line, one file per command: each parses, calls one function of ``service`` and shows the answer.

May import everything below it, but inside functions, so that ``--help`` stays instant. To add a command, write
``cli/<name>.py`` with a click command named ``command`` and add its row to ``COMMANDS`` in ``main.py``.
"""
