"""Memory of a service under a long mixed load: searches,
pages, uploads, pictures and mistakes, from eight clients.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.measure import Measurement
from benchmarks.photos import make_photos
from benchmarks.processes import resident_bytes
from benchmarks.service import BOUNDARY, changed, served
from service.cli.main import main as lakesift

CLIENTS = 8
GROWTH_BUDGET = 1.1


def measure_soak(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """Four equal stretches; what the first one fills (models,
    caches, threads) does not count as growth.
    """
    stretch = 200 if quick else 8_000  # requests
    photos = make_photos(workspace / "photos", 20 if quick else 300)
    lake = workspace / "photos.lake"
    assert lakesift(["index", str(workspace / "photos"), "--into", str(lake)]) == 0
    with served(lake) as (port, pid):
        load = _Load(port, [photo.read_bytes() for photo in photos[:20]], len(photos))
        sizes = []
        for _ in range(4):
            load.run(stretch)
            sizes.append(resident_bytes(pid))
        note = (
            ", ".join(f"{size / 1e6:.0f}" for size in sizes)
            + f" MB after {stretch:,}, {2 * stretch:,}, ... requests"
        )
        yield Measurement("memory after the last quarter beside the first", sizes[3] / sizes[0], "times", None,
                          GROWTH_BUDGET, note)  # fmt: skip
        yield Measurement("requests that failed", float(load.failed), "", at_most=0.0)


class _Load:
    """Requests of every kind in turn; each thread keeps its connection."""

    def __init__(self, port: int, photos: Sequence[bytes], rows: int) -> None:
        self.failed = 0
        self._local = threading.local()
        self._port = port
        self._photos = photos
        self._rows = rows
        self._numbers = itertools.count()
        self._kinds: tuple[Callable[[int], None], ...] = (
            self._text, self._page, self._thumbnail, self._image, self._row, self._stream, self._upload,
            self._mistake, self._poison,
        )  # fmt: skip

    def run(self, count: int) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in pool.map(self._one, range(count)):
                pass

    def _one(self, _: int) -> None:
        number = next(self._numbers)
        self._kinds[number % len(self._kinds)](number)

    def _ask(self, method: str, path: str, wanted: int, body: bytes = b"", **headers: str) -> bytes:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self._local.connection.request(
            method, path, body, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = self._local.connection.getresponse()
        content: bytes = answer.read()
        self.failed += answer.status != wanted
        return content

    def _search(self, body: dict[str, object], wanted: int = 200, **headers: str) -> bytes:
        return self._ask(
            "POST",
            "/v1/search",
            wanted,
            json.dumps(body).encode(),
            Content_Type="application/json",
            **headers,
        )

    def _text(self, number: int) -> None:
        self._search({"texts": [{"text": f"thing number {number}"}], "collapse": number % 2 == 0})

    def _page(self, number: int) -> None:
        first = json.loads(self._search({"images": [{"row_id": 1 + number % self._rows}], "k": 5}))
        self._search({"cursor": first["next_cursor"]})

    def _thumbnail(self, number: int) -> None:
        self._ask("GET", f"/v1/lakes/photos/rows/{1 + number % self._rows}/thumbnail?size=256", 200)

    def _image(self, number: int) -> None:
        self._ask("GET", f"/v1/lakes/photos/rows/{1 + number % self._rows}/image", 200)

    def _row(self, number: int) -> None:
        self._ask("GET", f"/v1/lakes/photos/rows/{1 + number % self._rows}", 200)

    def _stream(self, number: int) -> None:
        self._search(
            {"texts": [{"text": f"thing number {number % 50}"}]}, Accept="application/x-ndjson"
        )

    def _upload(self, number: int) -> None:
        self._send(changed(self._photos[number % len(self._photos)], number), 200)

    def _poison(self, number: int) -> None:
        self._send(self._photos[number % len(self._photos)][: 200 + number % 300], 422)

    def _mistake(self, number: int) -> None:
        self._search({"texts": [{"text": "a cat"}], "where": f"nothing_{number} = 1"}, 422)

    def _send(self, image: bytes, wanted: int) -> None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
        body = head.encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
        self._ask(
            "POST",
            "/v1/search/upload",
            wanted,
            body,
            Content_Type=f"multipart/form-data; boundary={BOUNDARY}",
        )
