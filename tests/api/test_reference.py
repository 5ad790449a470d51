from __future__ import annotations

import hashlib

from starlette.testclient import TestClient

from tunesmith.api.reference import STATIC


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200 and "http" not in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    files = [word.split('"')[1] for word in page.text.split() if word.startswith(("src=", "href="))]
    assert len(files) == 3 and all(client.get(file).status_code == 200 for file in files)


def test_every_body_has_an_example_and_every_answer_a_type(client: TestClient) -> None:
    lacking = []
    described = client.get("/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert " " in operation["summary"], f"{method} {path}"
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                name = content["schema"].get("$ref", "").rpartition("/")[2]
                model = described["components"]["schemas"].get(name, {})
                if not any("example" in each or "examples" in each for each in (content, content["schema"], model)):
                    lacking.append(f"{method} {path}: no example of {kind}")
            for status, answer in operation["responses"].items():
                contents = answer.get("content", {})
                if method != "head" and status == "200" and not all(each.get("schema") for each in contents.values()):
                    lacking.append(f"{method} {path}: {status} has no type")
    assert not lacking, "\n".join(lacking)


def test_files_of_others_are_as_their_packages_hold_them() -> None:
    vendor = STATIC / "vendor"
    sums = dict(reversed(line.split(maxsplit=1)) for line in (vendor / "SHA256SUMS").read_text().splitlines())
    there = {str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file()}
    assert there - {"SHA256SUMS", "README.md"} == set(sums)
    for name, sum in sums.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == sum, name
