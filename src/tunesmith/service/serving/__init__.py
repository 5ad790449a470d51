"""Loaded models that answer, each in a process of its own.

May import settings, spec, runs, executors, modalities' light half and service/models.
"""
