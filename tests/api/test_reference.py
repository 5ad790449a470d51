from __future__ import annotations

import hashlib

from starlette.testclient import TestClient

from tunesmith.api.reference import STATIC


def test_the_pages_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/docs", "/redoc"):
        page = client.get(path)
        assert page.status_code == 200 and "http" not in page.text
        assert "default-src 'self'" in page.headers["Content-Security-Policy"]
        for file in (word.split('"')[1] for word in page.text.split() if word.startswith(("src=", "href="))):
            assert client.get(file).status_code == 200, file


def test_files_of_others_are_as_their_packages_hold_them() -> None:
    vendor = STATIC / "vendor"
    sums = dict(reversed(line.split(maxsplit=1)) for line in (vendor / "SHA256SUMS").read_text().splitlines())
    there = {str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file()}
    assert there - {"SHA256SUMS", "README.md"} == set(sums)
    for name, sum in sums.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == sum, name
