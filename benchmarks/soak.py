"""Memory of a service under a long mixed load from eight clients: searches, pages, uploads,
pictures and mistakes on photos; then exact and less exact searches, pages, predicates and rows of a
lake that is large enough for codes and groups to be read.
"""

from __future__ import annotations

import http.client
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.approximate import DIM, making, queries_of
from benchmarks.lakes import PhotoLike
from benchmarks.measure import Measurement
from benchmarks.photos import make_photos
from benchmarks.processes import resident_bytes
from benchmarks.service import BOUNDARY, changed, served
from service.cli.main import main as lakesift

CLIENTS = 8
ROWS_WITH_CODES = 500_000  # from 400,000 on exact searches read them
GROWTH_BUDGET = 1.1
TOO_MANY = 429


def measure_soak(workspace: Path, *, quick: bool) -> Iterator[Measurement]:
    """Four equal stretches; what the first one fills (models,
    caches, threads) does not count as growth.
    """
    photos = make_photos(workspace / "photos", 20 if quick else 300)
    lake = workspace / "photos.lake"
    assert lakesift(["index", str(workspace / "photos"), "--into", str(lake)]) == 0
    with served(lake) as (port, pid):
        load = _OfPhotos(port, [photo.read_bytes() for photo in photos[:20]], len(photos))
        yield from _four_stretches("photos", load, 200 if quick else 8_000, pid)
    rows, drawn = 60_000 if quick else ROWS_WITH_CODES, PhotoLike(DIM)
    large = workspace / "codes.lake"
    for _ in making(large, rows, drawn):
        pass
    queries = [query for _, some in queries_of(drawn) for query in some.tolist()]
    with served(large) as (port, pid):
        yield from _four_stretches(
            f"{rows:,} rows with codes and groups",
            _OfCodes(port, queries, rows),
            50 if quick else 2_000,
            pid,
        )


def _four_stretches(label: str, load: _Load, requests: int, pid: int) -> Iterator[Measurement]:
    sizes = []
    for _ in range(4):
        load.run(requests)
        sizes.append(resident_bytes(pid))
    note = (
        ", ".join(f"{size / 1e6:.0f}" for size in sizes)
        + f" MB after {requests:,}, {2 * requests:,}, ... requests"
    )
    name = f"{label}: memory after the last quarter beside the first"
    yield Measurement(name, sizes[3] / sizes[0], "times", None, GROWTH_BUDGET, note)
    yield Measurement(f"{label}: requests that failed", float(load.failed), "", at_most=0.0)


class _Load:
    """Requests of every kind in turn; each thread keeps its connection."""

    kinds: tuple[Callable[[int], None], ...]

    def __init__(self, port: int) -> None:
        self.failed = 0
        self._local = threading.local()
        self._port = port
        self._numbers = itertools.count()

    def run(self, count: int) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for _ in pool.map(self._one, range(count)):
                pass

    def _one(self, _: int) -> None:
        number = next(self._numbers)
        self.kinds[number % len(self.kinds)](number)

    def _ask(self, method: str, path: str, wanted: int, body: bytes = b"", **headers: str) -> bytes:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        status = TOO_MANY
        while status == TOO_MANY:  # a caller's share of uploads; it says when to come again
            self._local.connection.request(method, path, body, sent)
            answer = self._local.connection.getresponse()
            content: bytes = answer.read()
            status = answer.status
            if status == TOO_MANY:
                time.sleep(float(answer.headers["Retry-After"]))
        if status != wanted:
            self.failed += 1
            print(f"{method} {path}: {status}, not {wanted}: {content[:300]!r}", file=sys.stderr)
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


class _OfPhotos(_Load):
    def __init__(self, port: int, photos: Sequence[bytes], rows: int) -> None:
        super().__init__(port)
        self._photos = photos
        self._rows = rows
        self.kinds = (
            self._text, self._page, self._thumbnail, self._image, self._row, self._stream, self._upload,
            self._mistake, self._poison,
        )  # fmt: skip

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


class _OfCodes(_Load):
    def __init__(self, port: int, queries: Sequence[Sequence[float]], rows: int) -> None:
        super().__init__(port)
        self._queries = queries
        self._rows = rows
        self.kinds = (self._exact, self._near, self._page, self._where, self._row)

    def _query(self, number: int) -> Sequence[float]:
        return self._queries[number % len(self._queries)]

    def _exact(self, number: int) -> None:
        self._search({"vector": self._query(number), "k": 10})

    def _near(self, number: int) -> None:
        self._search({"vector": self._query(number), "k": 10, "recall": 0.99})

    def _page(self, number: int) -> None:
        first = json.loads(self._search({"vector": self._query(number), "k": 100}))
        self._search({"cursor": first["next_cursor"]})

    def _where(self, number: int) -> None:
        least = number % self._rows
        self._search({"vector": self._query(number), "where": f"row_id > {least}", "k": 10})

    def _row(self, number: int) -> None:
        self._ask("GET", f"/v1/lakes/codes/rows/{1 + number % self._rows}", 200)
