"""The run folder, shared by both columns: who a run is, what it says, what is asked of it, what it keeps, how it ended.

May import settings and spec; knows neither torch nor processes' insides. One noun per file: a further thing that a run
folder holds is one more file here, named after it.
"""
