"""The HTTP service: parse a request, call one function of the service, render the answer.

May import service, settings and spec. To add an endpoint: ``routes/<noun>.py`` with ``router``, found by being there.
"""
