"""The pages of /docs and /redoc, from files that lie beside this one: they work without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from tunesmith.api import errors

STATIC: Final = Path(__file__).with_name("static")

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tunesmith</title>
{head}
</head>
<body>
{body}
</body>
</html>
"""
SWAGGER: Final = _PAGE.format(
    head='<link rel="stylesheet" href="/static/vendor/swagger-ui/swagger-ui.css">',
    body='<div id="swagger-ui"></div>\n<script src="/static/vendor/swagger-ui/swagger-ui-bundle.js"></script>\n'
    '<script src="/static/docs.js"></script>',
)
REDOC: Final = _PAGE.format(
    head='<link rel="stylesheet" href="/static/docs.css">',
    body='<redoc spec-url="/openapi.json" disable-search="false"></redoc>\n'
    '<script src="/static/vendor/redoc/redoc.standalone.js"></script>',
)


def install(app: FastAPI) -> None:
    """Add the pages and their files, and have errors described as each way in says them."""
    describe = app.openapi

    def _described() -> dict[str, Any]:
        if app.openapi_schema is None:
            for path, operations in describe()["paths"].items():
                for operation in operations.values():
                    if "422" in operation["responses"]:
                        operation["responses"]["422"] = errors.described(path)
        return describe()

    app.openapi = _described  # type: ignore[method-assign]
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/docs", include_in_schema=False)
    def _swagger() -> HTMLResponse:
        return HTMLResponse(SWAGGER)

    @app.get("/redoc", include_in_schema=False)
    def _redoc() -> HTMLResponse:
        return HTMLResponse(REDOC)
