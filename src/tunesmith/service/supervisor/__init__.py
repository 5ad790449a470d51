"""Who runs the jobs: claims them, starts and follows their runs, and alone changes what they are.

``supervisor.py`` is the loop, ``scheduler.py`` (pure) decides which job is next, ``launcher.py`` plans and starts,
``follower.py`` reads event logs, ``control.py`` passes requests on, ``recovery.py`` takes over what a dead one left.
"""
