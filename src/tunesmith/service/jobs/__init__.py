"""Jobs and their runs: plan and start, follow, ask, resume, find. Works on run folders and the executor alone.

May import planning, executors, the light half of modalities, runs, settings, spec and service/models.
"""
