"""Uploads to a server that is killed and whose connections are cut, over plain sockets."""

from __future__ import annotations

import base64
import hashlib
import random
import socket
from contextlib import suppress
from pathlib import Path

import httpx
import psutil

from fleet import LightServer, until

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = 8 * 2**20
"""Bytes of one PATCH, unless it is cut off."""
BLOCK = 2**18


def sparse_file(path: Path, size: int) -> str:
    """Make a file that is mostly holes, with a mark in each 1 MB; return its sha256."""
    with path.open("wb") as file:
        file.truncate(size)
        for place in range(0, size - 16, 2**20):
            file.seek(place)
            file.write(f"{place:016x}".encode())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Uploading:
    """Uploads a file piece by piece; between them connections are cut and the server is killed."""

    def __init__(self, server: LightServer, file: Path, digest: str, seed: int) -> None:
        self.server, self.file, self.size = server, file, file.stat().st_size
        self.random = random.Random(seed)
        self.growth = 0
        self._least: dict[int, int] = {}
        metadata = f"filename {_b64(file.name)},sha256 {_b64(digest)}"
        headers = {**TUS, "Upload-Length": str(self.size), "Upload-Metadata": metadata}
        answer = httpx.post(f"{server.url}/api/uploads", headers=headers, timeout=60)
        assert answer.status_code == 201, answer.text
        self.where = answer.headers["location"]

    def offset(self) -> int:
        """Ask how far the server has come; a request that was cut may still hold the upload."""
        answer = httpx.head(self.server.url + self.where, headers=TUS, timeout=300)
        assert answer.status_code == 200, answer.headers
        return int(answer.headers["upload-offset"])

    def send(self, offset: int, end: int, cut_at: int | None = None, kill: bool = False) -> int | None:
        """Send bytes; at ``cut_at`` hang up, or kill the server. Return the status, None if there was no answer."""
        head = (
            f"PATCH {self.where} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\nTus-Resumable: 1.0.0\r\n"
            f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: {offset}\r\n"
            f"Content-Length: {end - offset}\r\nConnection: close\r\n\r\n"
        )
        stop = end if cut_at is None else cut_at
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=300) as connection:
            connection.sendall(head.encode())
            with self.file.open("rb") as file, suppress(ConnectionError):
                file.seek(offset)
                while (left := stop - file.tell()) > 0:
                    connection.sendall(file.read(min(BLOCK, left)))
            self._watch()
            if kill:
                self.server.kill()
                return None
            if cut_at is not None:
                return None
            with suppress(ConnectionError):
                answer = connection.recv(4096)
                return int(answer.split()[1]) if answer else None
        return None

    def run(self, cuts: int, kills: int) -> int:
        """Upload all of it with so many interruptions at random places; return how often bytes were acknowledged."""
        places = sorted(self.random.sample(range(1, self.size), cuts + kills))
        deadly = set(self.random.sample(places, kills))
        acknowledged, at = 0, 0
        while at < self.size:
            place = next((place for place in places if place > at), None)
            if place is not None and place - at < PIECE:
                self.send(at, min(self.size, at + PIECE), cut_at=place, kill=place in deadly)
                places.remove(place)
                if place in deadly:
                    self.server.restart()
                    self.server.wait()
                [there] = until(self._settled, "the cut request is over")
                assert there >= at, f"{at} bytes were acknowledged, and {there} are there"
                at = there
                continue
            end = min(self.size, at + PIECE)
            assert self.send(at, end) == 204
            acknowledged, at = acknowledged + 1, end
        return acknowledged

    def became(self) -> str:
        return str(httpx.get(self.server.url + self.where, timeout=300).json()["became"])

    def _settled(self) -> list[int]:
        """Return the offset, in a list, once no request writes any more: an empty one is let in then."""
        there = self.offset()
        if there == self.size:
            return [there]
        said = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(there)}
        answer = httpx.patch(self.server.url + self.where, headers=said, content=b"", timeout=300)
        return [there] if answer.status_code == 204 else []

    def _watch(self) -> None:
        """Keep how far the server's memory has grown since it was first seen."""
        process = self.server.process
        memory = psutil.Process(process.pid).memory_info().rss
        self.growth = max(self.growth, memory - self._least.setdefault(process.pid, memory))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
