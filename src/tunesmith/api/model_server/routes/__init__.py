"""The routes of a model's server: `about` it, answers as its documents have them (`generate`, `talk`), and OpenAI's."""

from __future__ import annotations

from fastapi import APIRouter

from tunesmith.api.model_server.routes import about, generate, openai, talk, upload

ROUTERS: tuple[APIRouter, ...] = (about.router, generate.router, talk.router, upload.router, openai.router)
"""All of them."""
