"""The child process of a run: ``python -m tunesmith.worker <run folder>``. It computes, and writes into that folder.

May import modalities, training, data, runs, settings and spec; knows no service, executor, database or terminal. A new
kind of run is a file with ``run(run, reporter)``, its name in ``runs.folder.Kind`` and its row in ``__main__.KINDS``.
"""
