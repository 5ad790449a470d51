"""What every request passes before it reaches a route, as plain ASGI: streams and websockets too.

One file per concern; ``app.py`` puts them in order. May import what api may.
"""
