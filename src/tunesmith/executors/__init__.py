"""Where a worker runs: launch, poll, stop. May import runs, settings and spec; knows nothing of what a worker does.

To run workers somewhere else, add a file with a class of the three methods of ``base.Executor``.
"""
