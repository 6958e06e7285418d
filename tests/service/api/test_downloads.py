from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO
from urllib.parse import unquote

from starlette.datastructures import Headers
from starlette.testclient import TestClient

from service.api.downloads import because, download


def headers_of(reasons: Sequence[str]) -> Headers:
    """As they arrive, of a file of two bytes."""

    def make(file: BinaryIO) -> Sequence[str]:
        file.write(b"ab")
        return reasons

    answer = TestClient(download(make, "a.txt", "b/c")).get("/")
    assert answer.content == b"ab"
    return Headers(raw=answer.headers.raw)


def test_what_is_left_out_is_in_the_headers_with_the_reason() -> None:
    headers = headers_of(["it lies below /fötos 50%"] * 2)
    assert headers["content-length"] == "2"
    assert headers["left-out"] == "2"
    assert headers["left-out-because"] == "it lies below /f%C3%B6tos 50%25"
    assert unquote(headers["left-out-because"]) == "it lies below /fötos 50%"


def test_a_file_of_all_says_no_reason() -> None:
    headers = headers_of([])
    assert headers["left-out"] == "0"
    assert "left-out-because" not in headers


def test_of_several_reasons_those_of_most_images_are_told_with_their_numbers() -> None:
    reasons = ["a"] + ["b"] * 3 + ["c"] * 1200 + ["d"] + ["e"] * 2
    assert because(reasons) == "1,200: c; 3: b; 2: e; 2: other reasons"
    assert because(["a", "b"]) == "1: a; 1: b"
    assert because(["x" * 5000]) == "x" * 399 + "…"


def test_a_reason_cannot_end_a_header() -> None:
    assert headers_of(["a\r\nSet-Cookie: b"])["left-out-because"] == "a%0D%0ASet-Cookie: b"
