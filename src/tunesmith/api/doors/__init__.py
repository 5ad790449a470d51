"""One file per documented way in: its table of fields, what it takes for what is left open, and how it shows a job.

May import service, settings and spec. Its routes (``api/routes``) parse, call one function of the service and render.
"""
