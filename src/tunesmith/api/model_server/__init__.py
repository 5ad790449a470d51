"""The server of one model: what `start.sh` of a model directory starts, with a page to talk to the model.

Its routes are those that the installer of model directories documents, and OpenAI's beside them. May import what api
may.
"""
