"""What a serve run consists of: a loaded model, OpenAI's shapes, and HTTP on a Unix socket.

May import what the worker may. Another endpoint is a row in ``ENDPOINTS`` of ``endpoints.py`` and a function there.
"""
